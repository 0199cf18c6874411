// Threads that work on one operation after the other while a plan runs, and sleep else.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

class Threads {
public:
    explicit Threads(int count);
    ~Threads();
    Threads(const Threads&) = delete;
    Threads& operator=(const Threads&) = delete;

    int count() const { return count_; }

    // While one exists, the workers are awake, and others that want them wait.
    class Session {
    public:
        explicit Session(Threads& threads);
        ~Session();
        Session(const Session&) = delete;
        Session& operator=(const Session&) = delete;

        int count() const { return threads_.count_; }

        // work(part, parts) for each part, one of them here; returns when all are done.
        template <class Work>
        void run(const Work& work) {
            call(&work, [](const void* data, int part, int parts) { (*static_cast<const Work*>(data))(part, parts); });
        }

    private:
        void call(const void* data, void (*function)(const void*, int, int));

        Threads& threads_;
        std::unique_lock<std::mutex> in_use_;
    };

private:
    struct Shared;

    void start();
    static bool work_once(Shared& shared, int parts);
    static void work(Shared& shared, int parts);

    int count_;
    int process_ = 0;
    Shared* shared_ = nullptr;
};
