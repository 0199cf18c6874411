// Threads that work on one operation after the other while a plan runs, and sleep else.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>

class Threads {
public:
    explicit Threads(int count);
    ~Threads();

    int count() const { return count_; }

    // While one exists, the workers are awake, and others that want them wait.
    class Session {
    public:
        explicit Session(Threads& threads);
        ~Session();

        int count() const { return threads_.count_; }

        // work(part, parts) for each part, some of them here; returns when all are done.
        void run(const std::function<void(int part, int parts)>& work);

    private:
        Threads& threads_;
        std::unique_lock<std::mutex> in_use_;
    };

private:
    struct Pool;

    void start();

    const int count_;
    std::atomic<int> process_{0};
    std::unique_ptr<Pool> pool_;
};
