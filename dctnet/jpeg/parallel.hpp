// Work on the items of a batch, shared among threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace dctnet::jpeg {

// Calls work(i) once for each i < count, on `threads` threads of which the caller is one. `work` does not throw.
template <typename Work>
void in_parallel(std::size_t count, std::size_t threads, const Work& work) {
    std::atomic<std::size_t> next{0};
    const auto share = [&]() noexcept {
        for (std::size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) work(i);
    };
    std::vector<std::thread> others;
    try {
        for (std::size_t i = 1; i < std::min(threads, count); ++i) others.emplace_back(share);
    } catch (const std::exception&) {
        // The system gives no more threads: those there are do the work.
    }
    share();
    for (std::thread& other : others) other.join();
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

}  // namespace dctnet::jpeg
