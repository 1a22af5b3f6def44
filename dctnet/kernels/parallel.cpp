#include "parallel.hpp"

#include <condition_variable>
#include <deque>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace dctnet {
namespace {

struct Job {
    const std::function<void()>* share;
    std::size_t running = 0;  // helpers that are at it
};

struct Helpers {
    std::mutex mutex;
    std::condition_variable work, done;
    std::deque<Job*> asked;  // a job stands here once for each helper that it would have
    std::size_t threads = 0;
};

void help(Helpers& helpers) {
    std::unique_lock lock(helpers.mutex);
    for (;;) {
        helpers.work.wait(lock, [&] { return !helpers.asked.empty(); });
        Job& job = *helpers.asked.front();
        helpers.asked.pop_front();
        ++job.running;
        lock.unlock();
        (*job.share)();
        lock.lock();
        if (--job.running == 0) helpers.done.notify_all();
    }
}

// Never destroyed: its threads wait in it until the process ends.
Helpers*& present() {
    static Helpers* helpers = new Helpers;
    return helpers;
}

Helpers& helpers() {
#if defined(__unix__) || defined(__APPLE__)
    // A forked child has none of the threads, and must not inherit a lock that another thread held.
    static const bool registered = pthread_atfork([] { present()->mutex.lock(); }, [] { present()->mutex.unlock(); },
                                                  [] { present() = new Helpers; }) == 0;
    (void)registered;
#endif
    return *present();
}

}  // namespace

void share_among(std::size_t others, const std::function<void()>& share) {
    Helpers& all = helpers();
    Job job{&share};
    {
        const std::lock_guard lock(all.mutex);
        try {
            for (std::size_t i = 0; i < others; ++i) all.asked.push_back(&job);
            while (all.threads < others) {
                std::thread(help, std::ref(all)).detach();
                ++all.threads;
            }
        } catch (const std::exception&) {
            // No memory or no thread: whoever is there does the work.
        }
    }
    all.work.notify_all();
    share();
    std::unique_lock lock(all.mutex);
    std::erase(all.asked, &job);
    all.done.wait(lock, [&] { return job.running == 0; });
}

}  // namespace dctnet
