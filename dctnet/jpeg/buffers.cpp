#include "buffers.hpp"

#include <array>
#include <bit>
#include <cstdint>
#include <mutex>
#include <new>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <sys/mman.h>
#endif

namespace dctnet::jpeg {
namespace {

constexpr std::size_t kSmallest = 4096;
constexpr std::size_t kClasses = 4 * (sizeof(std::size_t) * 8);

// Sizes are rounded up to one of four steps an octave, so at most a fifth of a buffer is unused.
std::size_t size_class(std::size_t bytes) {
    if (bytes <= kSmallest) return 0;
    const std::size_t step = std::bit_floor(bytes - 1) / 4;
    const std::size_t steps = (bytes - 1) / step + 1;  // 5..8
    const auto octave = static_cast<std::size_t>(std::bit_width(step) - std::bit_width(kSmallest / 4));
    return octave * 4 + steps - 4;
}

std::size_t class_bytes(std::size_t index) {
    if (index == 0) return kSmallest;
    const std::size_t octave = (index - 1) / 4, steps = (index - 1) % 4 + 5;
    return ((kSmallest / 4) << octave) * steps;
}

// Large buffers ask for huge pages: the first writing to memory costs as much for a page of 4 KB as for one of 2 MB.
constexpr std::size_t kHugePage = std::size_t{1} << 21;

std::align_val_t alignment(std::size_t bytes) { return std::align_val_t{bytes >= 2 * kHugePage ? kHugePage : 64}; }

struct Pool {
    std::mutex mutex;
    std::array<std::vector<void*>, kClasses> free;
    std::array<std::uint64_t, kClasses> used{};  // when a buffer of this class was last wanted
    std::uint64_t now = 0;
    std::size_t bytes = 0;

    // The class of waiting buffers that was not wanted for the longest time.
    std::size_t stalest() const {
        std::size_t found = kClasses;
        for (std::size_t i = 0; i < kClasses; ++i) {
            if (!free[i].empty() && (found == kClasses || used[i] < used[found])) found = i;
        }
        return found;
    }
};

// Never destroyed: Python may free arrays after static destructors have run.
Pool& pool() {
    static Pool* const instance = [] {
        auto* created = new Pool;
#if defined(__unix__) || defined(__APPLE__)
        // A forked worker must not inherit a lock that some other thread held.
        pthread_atfork([] { pool().mutex.lock(); }, [] { pool().mutex.unlock(); }, [] { pool().mutex.unlock(); });
#endif
        return created;
    }();
    return *instance;
}

}  // namespace

Buffer::Buffer(std::size_t bytes) : size_class_(size_class(bytes)) {
    {
        Pool& shared = pool();
        const std::lock_guard lock(shared.mutex);
        auto& list = shared.free[size_class_];
        shared.used[size_class_] = ++shared.now;
        if (!list.empty()) {
            data_ = list.back();
            list.pop_back();
            shared.bytes -= class_bytes(size_class_);
            return;
        }
    }
    const std::size_t whole = class_bytes(size_class_);
    data_ = ::operator new(whole, alignment(whole));
#if defined(MADV_HUGEPAGE)
    if (whole >= 2 * kHugePage) madvise(data_, whole, MADV_HUGEPAGE);  // a wish: where it is not granted, nothing is lost
#endif
}

Buffer::~Buffer() {
    if (data_ == nullptr) return;
    const std::size_t bytes = class_bytes(size_class_);
    if (bytes > kPoolBytes) {
        ::operator delete(data_, alignment(bytes));
        return;
    }
    Pool& shared = pool();
    const std::lock_guard lock(shared.mutex);
    while (shared.bytes + bytes > kPoolBytes) {
        const std::size_t stale = shared.stalest();
        ::operator delete(shared.free[stale].back(), alignment(class_bytes(stale)));
        shared.free[stale].pop_back();
        shared.bytes -= class_bytes(stale);
    }
    shared.free[size_class_].push_back(data_);
    shared.bytes += bytes;
}

std::size_t pooled_bytes() {
    Pool& shared = pool();
    const std::lock_guard lock(shared.mutex);
    return shared.bytes;
}

}  // namespace dctnet::jpeg
