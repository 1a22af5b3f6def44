// Functions compiled twice: for the processor at hand, and for any.
//
// The extension is built for the oldest processor of its platform. A loop that carries weight is therefore a function
// marked DCTNET_INLINE with two callers that it is inlined into: one marked DCTNET_FAST, which may use AVX2, BMI2, FMA and
// F16C, and a plain one. fast_processor() says which to call. Where DCTNET_FAST is not defined there is only the plain one.
#pragma once

#if defined(_MSC_VER)
#define DCTNET_INLINE __forceinline
#define DCTNET_NOINLINE __declspec(noinline)
#define DCTNET_UNLIKELY(condition) (condition)
#else
#define DCTNET_INLINE inline __attribute__((always_inline))
#define DCTNET_NOINLINE __attribute__((noinline))
#define DCTNET_UNLIKELY(condition) __builtin_expect(static_cast<bool>(condition), 0)
#endif

#if defined(__GNUC__) && defined(__x86_64__) && !defined(DCTNET_PLAIN)  // DCTNET_PLAIN: the plain callers alone, for tests
#define DCTNET_FAST __attribute__((target("avx2,bmi,bmi2,movbe,fma,f16c")))
#endif

namespace dctnet {

inline bool fast_processor() {
#if defined(DCTNET_FAST)
    // Whatever has these four has MOVBE and F16C, which not every compiler can ask for.
    static const bool fast = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                             __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma");
    return fast;
#else
    return false;
#endif
}

}  // namespace dctnet
