// Work on the items of a batch, shared among threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>

namespace dctnet {

// Runs share() on the calling thread and on up to `others` helpers at the same time, and returns when all have returned.
// Helpers stay for later calls, with what they keep of their own: Huffman tables, memory for files. Where the system gives
// no more threads, those there are do the work; a forked child begins without helpers.
void share_among(std::size_t others, const std::function<void()>& share);

// Calls work(i) once for each i < count, on `threads` threads of which the caller is one. `work` does not throw.
template <typename Work>
void in_parallel(std::size_t count, std::size_t threads, const Work& work) {
    std::atomic<std::size_t> next{0};
    const auto share = [&]() noexcept {
        for (std::size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) work(i);
    };
    const std::size_t used = std::min(threads, count);
    if (used > 1) {
        share_among(used - 1, share);
    } else {
        share();
    }
}

// Keeps the first exception of work that runs on several threads, for the thread that waits for them.
class FirstFailure {
public:
    template <typename Work>
    void watch(const Work& work) noexcept {
        try {
            work();
        } catch (...) {
            const std::lock_guard lock(mutex_);
            if (!first_) first_ = std::current_exception();
        }
    }

    void rethrow() const {
        if (first_) std::rethrow_exception(first_);
    }

private:
    std::mutex mutex_;
    std::exception_ptr first_;
};

}  // namespace dctnet
