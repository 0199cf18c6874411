#include "threads.hpp"

#include <unistd.h>

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

struct Threads::Shared {
    std::mutex in_use;  // a session holds it
    std::mutex mutex;   // of what the condition is about: awake, ending
    std::condition_variable changed;
    std::atomic<bool> awake{false};
    bool ending = false;
    const void* data = nullptr;
    void (*function)(const void*, int, int) = nullptr;
    // Calls so far, and in the lower half the part of the last one that is to be taken next. Parts are taken by whoever
    // comes first, so that nobody waits for a thread that the system lets wait.
    alignas(64) std::atomic<uint64_t> next{~uint32_t(0)};
    alignas(64) std::atomic<int> done{0};
    std::vector<std::thread> workers;
};

// An operation takes some microseconds: other threads answer within that time, unless there are more than processors.
template <class Condition>
static void wait_for(const Condition& condition) {
    for (int spins = 0; !condition(); ++spins) {
        if (spins > 4000) {
            std::this_thread::yield();
        } else {
#if defined(__x86_64__)
            _mm_pause();
#endif
        }
    }
}

Threads::Threads(int count) : count_(count) { start(); }

Threads::~Threads() {
    if (process_ != getpid()) return;  // the workers are the parent's
    {
        std::lock_guard<std::mutex> lock(shared_->mutex);
        shared_->ending = true;
    }
    shared_->changed.notify_all();
    for (auto& worker : shared_->workers) worker.join();
    delete shared_;
}

void Threads::start() {
    process_ = getpid();
    shared_ = new Shared;
    for (int part = 1; part < count_; ++part) {
        shared_->workers.emplace_back([shared = shared_, parts = count_] { work(*shared, parts); });
    }
}

// Takes a part of a call and does it; false if there is none.
bool Threads::work_once(Shared& shared, int parts) {
    uint64_t next = shared.next.load(std::memory_order_acquire);
    while (uint32_t(next) < uint32_t(parts)) {
        // Once a part is taken its call lasts, and with it what function and data are.
        if (!shared.next.compare_exchange_weak(next, next + 1, std::memory_order_acq_rel)) continue;
        shared.function(shared.data, int(uint32_t(next)), parts);
        shared.done.fetch_add(1, std::memory_order_release);
        return true;
    }
    return false;
}

void Threads::work(Shared& shared, int parts) {
    for (;;) {
        if (!shared.awake.load(std::memory_order_acquire)) {
            std::unique_lock<std::mutex> lock(shared.mutex);
            shared.changed.wait(lock, [&] { return shared.awake.load() || shared.ending; });
            if (shared.ending) return;
        }
        wait_for([&] { return work_once(shared, parts) || !shared.awake.load(std::memory_order_acquire); });
    }
}

Threads::Session::Session(Threads& threads) : threads_(threads) {
    // A forked process has none of its parent's threads, and locks as they were: it leaves all that, and begins anew.
    if (threads_.process_ != getpid()) threads_.start();
    in_use_ = std::unique_lock<std::mutex>(threads_.shared_->in_use);
    if (count() == 1) return;
    {
        std::lock_guard<std::mutex> lock(threads_.shared_->mutex);
        threads_.shared_->awake = true;
    }
    threads_.shared_->changed.notify_all();
}

Threads::Session::~Session() { threads_.shared_->awake.store(false, std::memory_order_release); }

void Threads::Session::call(const void* data, void (*function)(const void*, int, int)) {
    Shared& shared = *threads_.shared_;
    shared.data = data;
    shared.function = function;
    shared.done.store(0, std::memory_order_relaxed);
    const uint64_t calls = shared.next.load(std::memory_order_relaxed) >> 32;
    shared.next.store((calls + 1) << 32, std::memory_order_release);
    while (work_once(shared, count())) {
    }
    wait_for([&] { return shared.done.load(std::memory_order_acquire) == count(); });
}
