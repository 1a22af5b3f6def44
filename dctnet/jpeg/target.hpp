// Functions in two forms, of which the processor chooses: one for AVX2, BMI2 and FMA, one that runs everywhere.
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

// Before a function: compile it for such processors. Call it only where has_avx2().
#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define DCTNET_AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt,movbe,fma,f16c")))

namespace dctnet::jpeg {

inline bool has_avx2() {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("lzcnt") && __builtin_cpu_supports("movbe") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("f16c");
}

}  // namespace dctnet::jpeg
#endif
