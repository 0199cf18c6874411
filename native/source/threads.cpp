#include "threads.hpp"

#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <thread>
#include <vector>

// An operation takes some microseconds: other threads answer within that time, unless there are more than processors.
template <class Condition>
static void wait_for(const Condition& condition) {
    for (int spins = 0; !condition(); ++spins) {
        if (spins > 4000) std::this_thread::yield();
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
}

enum State { ASLEEP, AWAKE, ENDING };

struct Threads::Pool {
    const int parts;
    std::mutex in_use;  // a session holds it
    std::mutex mutex;   // of what the condition is about
    std::condition_variable changed;
    std::atomic<State> state{ASLEEP};
    const std::function<void(int, int)>* work = nullptr;
    // Calls so far, and in the lower half the part of the last one that is to be taken next. Parts are taken by whoever
    // comes first, so that nobody waits for a thread that the system lets wait.
    alignas(64) std::atomic<uint64_t> next{~uint32_t(0)};
    alignas(64) std::atomic<int> done{0};
    std::vector<std::thread> workers;

    explicit Pool(int count) : parts(count) {}

    ~Pool() {
        change(ENDING);
        for (auto& worker : workers) worker.join();
    }

    void change(State next_state) {
        std::lock_guard<std::mutex> lock(mutex);
        state = next_state;
        changed.notify_all();
    }

    // Takes a part of a call and does it; false if there is none.
    bool work_once() {
        uint64_t number = next.load(std::memory_order_acquire);
        while (uint32_t(number) < uint32_t(parts)) {
            // Once a part is taken its call lasts, and with it its work.
            if (!next.compare_exchange_weak(number, number + 1, std::memory_order_acq_rel)) continue;
            (*work)(int(uint32_t(number)), parts);
            done.fetch_add(1, std::memory_order_release);
            return true;
        }
        return false;
    }

    void serve() {
        while (state != ENDING) {
            while (state == AWAKE) wait_for([&] { return work_once() || state != AWAKE; });
            std::unique_lock<std::mutex> lock(mutex);
            changed.wait(lock, [&] { return state != ASLEEP; });
        }
    }
};

Threads::Threads(int count) : count_(count) { start(); }

Threads::~Threads() {
    if (process_ != getpid()) pool_.release();  // the workers are the parent's
}

void Threads::start() {
    auto made = std::make_unique<Pool>(count_);
    for (int part = 1; part < count_; ++part) made->workers.emplace_back([pool = made.get()] { pool->serve(); });
    pool_ = std::move(made);
    process_ = getpid();
}

Threads::Session::Session(Threads& threads) : threads_(threads) {
    // A forked process has none of its parent's threads, and locks as they were: it leaves all that, and begins anew.
    if (threads_.process_ != getpid()) {
        static std::mutex renewing;  // by the first of its threads to ask
        std::lock_guard<std::mutex> lock(renewing);
        if (threads_.process_ != getpid()) {
            threads_.pool_.release();
            threads_.start();
        }
    }
    Pool& pool = *threads_.pool_;
    in_use_ = std::unique_lock<std::mutex>(pool.in_use);
    if (count() > 1) pool.change(AWAKE);
}

Threads::Session::~Session() { threads_.pool_->state = ASLEEP; }

void Threads::Session::run(const std::function<void(int, int)>& work) {
    Pool& pool = *threads_.pool_;
    pool.work = &work;
    pool.done.store(0, std::memory_order_relaxed);
    pool.next.store(((pool.next.load(std::memory_order_relaxed) >> 32) + 1) << 32, std::memory_order_release);
    while (pool.work_once()) continue;
    wait_for([&] { return pool.done.load(std::memory_order_acquire) == count(); });
}
