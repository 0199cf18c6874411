// Written by generate.py, where the derivation is; do not edit.
#pragma once

#include "vector.hpp"

namespace LEVEL {

struct Transform_2_3_1 {
    static constexpr int outputs = 2, span = 4;

    template <int From, int To>
    static INLINE void input(const Vector* from, Vector* to) {
        const Vector whole0 = from[2 * From];
        const Vector half0 = from[1 * From];
        to[1 * To] = whole0 + half0;
        to[2 * To] = whole0 - half0;
        to[0 * To] = from[2 * From] - from[0 * From];
        to[3 * To] = from[3 * From] - from[1 * From];
    }
    template <int From, int To>
    static INLINE void output(const Vector* from, Vector* to) {
        const Vector sum0 = from[1 * From] + from[2 * From];
        const Vector difference0 = from[1 * From] - from[2 * From];
        to[0 * To] = sum0 + from[0 * From];
        to[1 * To] = difference0 + from[3 * From];
    }
};

struct Transform_4_3_1 {
    static constexpr int outputs = 4, span = 6;

    template <int From, int To>
    static INLINE void input(const Vector* from, Vector* to) {
        const Vector whole0 = from[4 * From] - 2.0f * from[2 * From];
        const Vector half0 = 0.7071067812f * from[3 * From] - 1.414213562f * from[1 * From];
        to[1 * To] = whole0 + half0;
        to[2 * To] = whole0 - half0;
        const Vector whole1 = from[4 * From] - 0.5f * from[2 * From];
        const Vector half1 = 1.414213562f * from[3 * From] - 0.7071067812f * from[1 * From];
        to[3 * To] = whole1 + half1;
        to[4 * To] = whole1 - half1;
        to[0 * To] = from[0 * From] + from[4 * From] - 2.5f * from[2 * From];
        to[5 * To] = from[1 * From] + from[5 * From] - 2.5f * from[3 * From];
    }
    template <int From, int To>
    static INLINE void output(const Vector* from, Vector* to) {
        const Vector sum0 = from[1 * From] + from[2 * From];
        const Vector difference0 = from[1 * From] - from[2 * From];
        const Vector sum1 = from[3 * From] + from[4 * From];
        const Vector difference1 = from[3 * From] - from[4 * From];
        to[0 * To] = sum0 + sum1 + from[0 * From];
        to[1 * To] = 0.7071067812f * difference0 + 1.414213562f * difference1;
        to[2 * To] = 0.5f * sum0 + 2.0f * sum1;
        to[3 * To] = 0.3535533906f * difference0 + 2.828427125f * difference1 + from[5 * From];
    }
};

struct Transform_6_3_1 {
    static constexpr int outputs = 6, span = 8;

    template <int From, int To>
    static INLINE void input(const Vector* from, Vector* to) {
        const Vector whole0 = 4.0f * from[2 * From] + from[6 * From] - 5.0f * from[4 * From];
        const Vector half0 = 2.0f * from[1 * From] + 0.5f * from[5 * From] - 2.5f * from[3 * From];
        to[1 * To] = whole0 + half0;
        to[2 * To] = whole0 - half0;
        const Vector whole1 = from[2 * From] + from[6 * From] - 4.25f * from[4 * From];
        const Vector half1 = from[1 * From] + from[5 * From] - 4.25f * from[3 * From];
        to[3 * To] = whole1 + half1;
        to[4 * To] = whole1 - half1;
        const Vector whole2 = 0.25f * from[2 * From] + from[6 * From] - 1.25f * from[4 * From];
        const Vector half2 = 0.5f * from[1 * From] + 2.0f * from[5 * From] - 2.5f * from[3 * From];
        to[5 * To] = whole2 + half2;
        to[6 * To] = whole2 - half2;
        to[0 * To] = 5.25f * from[2 * From] + from[6 * From] - from[0 * From] - 5.25f * from[4 * From];
        to[7 * To] = 5.25f * from[3 * From] + from[7 * From] - from[1 * From] - 5.25f * from[5 * From];
    }
    template <int From, int To>
    static INLINE void output(const Vector* from, Vector* to) {
        const Vector sum0 = from[1 * From] + from[2 * From];
        const Vector difference0 = from[1 * From] - from[2 * From];
        const Vector sum1 = from[3 * From] + from[4 * From];
        const Vector difference1 = from[3 * From] - from[4 * From];
        const Vector sum2 = from[5 * From] + from[6 * From];
        const Vector difference2 = from[5 * From] - from[6 * From];
        to[0 * To] = sum0 + sum1 + sum2 + from[0 * From];
        to[1 * To] = 0.5f * difference0 + difference1 + 2.0f * difference2;
        to[2 * To] = 0.25f * sum0 + sum1 + 4.0f * sum2;
        to[3 * To] = 0.125f * difference0 + difference1 + 8.0f * difference2;
        to[4 * To] = 0.0625f * sum0 + sum1 + 16.0f * sum2;
        to[5 * To] = 0.03125f * difference0 + difference1 + 32.0f * difference2 + from[7 * From];
    }
};

struct Transform_2_5_1 {
    static constexpr int outputs = 2, span = 6;

    template <int From, int To>
    static INLINE void input(const Vector* from, Vector* to) {
        const Vector whole0 = from[4 * From] - 2.0f * from[2 * From];
        const Vector half0 = 0.7071067812f * from[3 * From] - 1.414213562f * from[1 * From];
        to[1 * To] = whole0 + half0;
        to[2 * To] = whole0 - half0;
        const Vector whole1 = from[4 * From] - 0.5f * from[2 * From];
        const Vector half1 = 1.414213562f * from[3 * From] - 0.7071067812f * from[1 * From];
        to[3 * To] = whole1 + half1;
        to[4 * To] = whole1 - half1;
        to[0 * To] = from[0 * From] + from[4 * From] - 2.5f * from[2 * From];
        to[5 * To] = from[1 * From] + from[5 * From] - 2.5f * from[3 * From];
    }
    template <int From, int To>
    static INLINE void output(const Vector* from, Vector* to) {
        const Vector sum0 = from[1 * From] + from[2 * From];
        const Vector difference0 = from[1 * From] - from[2 * From];
        const Vector sum1 = from[3 * From] + from[4 * From];
        const Vector difference1 = from[3 * From] - from[4 * From];
        to[0 * To] = sum0 + sum1 + from[0 * From];
        to[1 * To] = 0.7071067812f * difference0 + 1.414213562f * difference1 + from[5 * From];
    }
};

struct Transform_4_5_1 {
    static constexpr int outputs = 4, span = 8;

    template <int From, int To>
    static INLINE void input(const Vector* from, Vector* to) {
        const Vector whole0 = 4.0f * from[2 * From] + from[6 * From] - 5.0f * from[4 * From];
        const Vector half0 = 2.0f * from[1 * From] + 0.5f * from[5 * From] - 2.5f * from[3 * From];
        to[1 * To] = whole0 + half0;
        to[2 * To] = whole0 - half0;
        const Vector whole1 = from[2 * From] + from[6 * From] - 4.25f * from[4 * From];
        const Vector half1 = from[1 * From] + from[5 * From] - 4.25f * from[3 * From];
        to[3 * To] = whole1 + half1;
        to[4 * To] = whole1 - half1;
        const Vector whole2 = 0.25f * from[2 * From] + from[6 * From] - 1.25f * from[4 * From];
        const Vector half2 = 0.5f * from[1 * From] + 2.0f * from[5 * From] - 2.5f * from[3 * From];
        to[5 * To] = whole2 + half2;
        to[6 * To] = whole2 - half2;
        to[0 * To] = 5.25f * from[2 * From] + from[6 * From] - from[0 * From] - 5.25f * from[4 * From];
        to[7 * To] = 5.25f * from[3 * From] + from[7 * From] - from[1 * From] - 5.25f * from[5 * From];
    }
    template <int From, int To>
    static INLINE void output(const Vector* from, Vector* to) {
        const Vector sum0 = from[1 * From] + from[2 * From];
        const Vector difference0 = from[1 * From] - from[2 * From];
        const Vector sum1 = from[3 * From] + from[4 * From];
        const Vector difference1 = from[3 * From] - from[4 * From];
        const Vector sum2 = from[5 * From] + from[6 * From];
        const Vector difference2 = from[5 * From] - from[6 * From];
        to[0 * To] = sum0 + sum1 + sum2 + from[0 * From];
        to[1 * To] = 0.5f * difference0 + difference1 + 2.0f * difference2;
        to[2 * To] = 0.25f * sum0 + sum1 + 4.0f * sum2;
        to[3 * To] = 0.125f * difference0 + difference1 + 8.0f * difference2 + from[7 * From];
    }
};

struct Transform_4_4_1 {
    static constexpr int outputs = 4, span = 7;

    template <int From, int To>
    static INLINE void input(const Vector* from, Vector* to) {
        const Vector whole0 = 4.0f * from[1 * From] + from[5 * From] - 5.0f * from[3 * From];
        const Vector half0 = 2.0f * from[0 * From] + 0.5f * from[4 * From] - 2.5f * from[2 * From];
        to[0 * To] = whole0 + half0;
        to[1 * To] = whole0 - half0;
        const Vector whole1 = from[1 * From] + from[5 * From] - 4.25f * from[3 * From];
        const Vector half1 = from[0 * From] + from[4 * From] - 4.25f * from[2 * From];
        to[2 * To] = whole1 + half1;
        to[3 * To] = whole1 - half1;
        const Vector whole2 = 0.25f * from[1 * From] + from[5 * From] - 1.25f * from[3 * From];
        const Vector half2 = 0.5f * from[0 * From] + 2.0f * from[4 * From] - 2.5f * from[2 * From];
        to[4 * To] = whole2 + half2;
        to[5 * To] = whole2 - half2;
        to[6 * To] = 5.25f * from[2 * From] + from[6 * From] - from[0 * From] - 5.25f * from[4 * From];
    }
    template <int From, int To>
    static INLINE void output(const Vector* from, Vector* to) {
        const Vector sum0 = from[0 * From] + from[1 * From];
        const Vector difference0 = from[0 * From] - from[1 * From];
        const Vector sum1 = from[2 * From] + from[3 * From];
        const Vector difference1 = from[2 * From] - from[3 * From];
        const Vector sum2 = from[4 * From] + from[5 * From];
        const Vector difference2 = from[4 * From] - from[5 * From];
        to[0 * To] = sum0 + sum1 + sum2;
        to[1 * To] = 0.5f * difference0 + difference1 + 2.0f * difference2;
        to[2 * To] = 0.25f * sum0 + sum1 + 4.0f * sum2;
        to[3 * To] = 0.125f * difference0 + difference1 + 8.0f * difference2 + from[6 * From];
    }
};

struct Transform_1_1_1 {
    static constexpr int outputs = 1, span = 1;

    template <int From, int To>
    static INLINE void input(const Vector* from, Vector* to) {
        to[0 * To] = from[0 * From];
    }
    template <int From, int To>
    static INLINE void output(const Vector* from, Vector* to) {
        to[0 * To] = from[0 * From];
    }
};

struct Transform_4_7_1 {
    static constexpr int outputs = 4, span = 10;

    template <int From, int To>
    static INLINE void input(const Vector* from, Vector* to) {
        const Vector whole0 = 14.16015625f * from[4 * From] + from[8 * From] - 5.493164062f * from[2 * From] - 8.375f * from[6 * From];
        const Vector half0 = 7.080078125f * from[3 * From] + 0.5f * from[7 * From] - 2.746582031f * from[1 * From] - 4.1875f * from[5 * From];
        to[1 * To] = whole0 + half0;
        to[2 * To] = whole0 - half0;
        const Vector whole1 = 11.71875f * from[4 * From] + from[8 * From] - 2.44140625f * from[2 * From] - 8.0625f * from[6 * From];
        const Vector half1 = 8.7890625f * from[3 * From] + 0.75f * from[7 * From] - 1.831054688f * from[1 * From] - 6.046875f * from[5 * From];
        to[3 * To] = whole1 + half1;
        to[4 * To] = whole1 - half1;
        const Vector whole2 = 5.21875f * from[4 * From] + from[8 * From] - 0.87890625f * from[2 * From] - 7.0625f * from[6 * From];
        const Vector half2 = 6.5234375f * from[3 * From] + 1.25f * from[7 * From] - 1.098632812f * from[1 * From] - 8.828125f * from[5 * From];
        to[5 * To] = whole2 + half2;
        to[6 * To] = whole2 - half2;
        const Vector whole3 = 1.41015625f * from[4 * From] + from[8 * From] - 0.2197265625f * from[2 * From] - 2.375f * from[6 * From];
        const Vector half3 = 3.525390625f * from[3 * From] + 2.5f * from[7 * From] - 0.5493164062f * from[1 * From] - 5.9375f * from[5 * From];
        to[7 * To] = whole3 + half3;
        to[8 * To] = whole3 - half3;
        to[0 * To] = 1.373291016f * from[0 * From] + 16.25390625f * from[4 * From] + from[8 * From] - 9.033203125f * from[2 * From] - 8.625f * from[6 * From];
        to[9 * To] = 1.373291016f * from[1 * From] + 16.25390625f * from[5 * From] + from[9 * From] - 9.033203125f * from[3 * From] - 8.625f * from[7 * From];
    }
    template <int From, int To>
    static INLINE void output(const Vector* from, Vector* to) {
        const Vector sum0 = from[1 * From] + from[2 * From];
        const Vector difference0 = from[1 * From] - from[2 * From];
        const Vector sum1 = from[3 * From] + from[4 * From];
        const Vector difference1 = from[3 * From] - from[4 * From];
        const Vector sum2 = from[5 * From] + from[6 * From];
        const Vector difference2 = from[5 * From] - from[6 * From];
        const Vector sum3 = from[7 * From] + from[8 * From];
        const Vector difference3 = from[7 * From] - from[8 * From];
        to[0 * To] = sum0 + sum1 + sum2 + sum3 + from[0 * From];
        to[1 * To] = 0.5f * difference0 + 0.75f * difference1 + 1.25f * difference2 + 2.5f * difference3;
        to[2 * To] = 0.25f * sum0 + 0.5625f * sum1 + 1.5625f * sum2 + 6.25f * sum3;
        to[3 * To] = 0.125f * difference0 + 0.421875f * difference1 + 1.953125f * difference2 + 15.625f * difference3 + from[9 * From];
    }
};

struct Transform_6_7_1 {
    static constexpr int outputs = 6, span = 12;

    template <int From, int To>
    static INLINE void input(const Vector* from, Vector* to) {
        const Vector whole0 = 7.29f * from[2 * From] + 35.91f * from[6 * From] + from[10 * From] - 31.59f * from[4 * From] - 12.61f * from[8 * From];
        const Vector half0 = 2.73375f * from[1 * From] + 13.46625f * from[5 * From] + 0.375f * from[9 * From] - 11.84625f * from[3 * From] - 4.72875f * from[7 * From];
        to[1 * To] = whole0 + half0;
        to[2 * To] = whole0 - half0;
        const Vector whole1 = 2.84765625f * from[2 * From] + 33.22265625f * from[6 * From] + from[10 * From] - 24.6796875f * from[4 * From] - 12.390625f * from[8 * From];
        const Vector half1 = 1.70859375f * from[1 * From] + 19.93359375f * from[5 * From] + 0.6f * from[9 * From] - 14.8078125f * from[3 * From] - 7.434375f * from[7 * From];
        to[3 * To] = whole1 + half1;
        to[4 * To] = whole1 - half1;
        const Vector whole2 = 1.02515625f * from[2 * From] + 25.93265625f * from[6 * From] + from[10 * From] - 10.7071875f * from[4 * From] - 11.750625f * from[8 * From];
        const Vector half2 = 1.02515625f * from[1 * From] + 25.93265625f * from[5 * From] + from[9 * From] - 10.7071875f * from[3 * From] - 11.750625f * from[7 * From];
        to[5 * To] = whole2 + half2;
        to[6 * To] = whole2 - half2;
        const Vector whole3 = 0.455625f * from[2 * From] + 14.056875f * from[6 * From] + from[10 * From] - 5.011875f * from[4 * From] - 10.500625f * from[8 * From];
        const Vector half3 = 0.6834375f * from[1 * From] + 21.0853125f * from[5 * From] + 1.5f * from[9 * From] - 7.5178125f * from[3 * From] - 15.7509375f * from[7 * From];
        to[7 * To] = whole3 + half3;
        to[8 * To] = whole3 - half3;
        const Vector whole4 = 0.11390625f * from[2 * From] + 3.92765625f * from[6 * From] + from[10 * From] - 1.2909375f * from[4 * From] - 3.750625f * from[8 * From];
        const Vector half4 = 0.34171875f * from[1 * From] + 11.78296875f * from[5 * From] + 3.0f * from[9 * From] - 3.8728125f * from[3 * From] - 11.251875f * from[7 * From];
        to[9 * To] = whole4 + half4;
        to[10 * To] = whole4 - half4;
        to[0 * To] = 11.73234375f * from[2 * From] + 37.68328125f * from[6 * From] + from[10 * From] - 1.02515625f * from[0 * From] - 36.63984375f * from[4 * From] - 12.750625f * from[8 * From];
        to[11 * To] = 11.73234375f * from[3 * From] + 37.68328125f * from[7 * From] + from[11 * From] - 1.02515625f * from[1 * From] - 36.63984375f * from[5 * From] - 12.750625f * from[9 * From];
    }
    template <int From, int To>
    static INLINE void output(const Vector* from, Vector* to) {
        const Vector sum0 = from[1 * From] + from[2 * From];
        const Vector difference0 = from[1 * From] - from[2 * From];
        const Vector sum1 = from[3 * From] + from[4 * From];
        const Vector difference1 = from[3 * From] - from[4 * From];
        const Vector sum2 = from[5 * From] + from[6 * From];
        const Vector difference2 = from[5 * From] - from[6 * From];
        const Vector sum3 = from[7 * From] + from[8 * From];
        const Vector difference3 = from[7 * From] - from[8 * From];
        const Vector sum4 = from[9 * From] + from[10 * From];
        const Vector difference4 = from[9 * From] - from[10 * From];
        to[0 * To] = sum0 + sum1 + sum2 + sum3 + sum4 + from[0 * From];
        to[1 * To] = 0.375f * difference0 + 0.6f * difference1 + difference2 + 1.5f * difference3 + 3.0f * difference4;
        to[2 * To] = 0.140625f * sum0 + 0.36f * sum1 + sum2 + 2.25f * sum3 + 9.0f * sum4;
        to[3 * To] = 0.052734375f * difference0 + 0.216f * difference1 + difference2 + 3.375f * difference3 + 27.0f * difference4;
        to[4 * To] = 0.01977539062f * sum0 + 0.1296f * sum1 + sum2 + 5.0625f * sum3 + 81.0f * sum4;
        to[5 * To] = 0.007415771484f * difference0 + 0.07776f * difference1 + difference2 + 7.59375f * difference3 + 243.0f * difference4 + from[11 * From];
    }
};

struct Transform_2_3_2 {
    static constexpr int outputs = 2, span = 5;

    template <int From, int To>
    static INLINE void input(const Vector* from, Vector* to) {
        const Vector whole0 = from[2 * From];
        const Vector half0 = from[0 * From];
        to[0 * To] = whole0 + half0;
        to[1 * To] = whole0 - half0;
        to[2 * To] = from[4 * From] - from[0 * From];
        to[3 * To] = from[1 * From];
        to[4 * To] = from[3 * From];
    }
    template <int From, int To>
    static INLINE void output(const Vector* from, Vector* to) {
        const Vector sum0 = from[0 * From] + from[1 * From];
        const Vector difference0 = from[0 * From] - from[1 * From];
        to[0 * To] = sum0 + from[3 * From];
        to[1 * To] = difference0 + from[2 * From] + from[4 * From];
    }
};

struct Transform_3_3_2 {
    static constexpr int outputs = 3, span = 7;

    template <int From, int To>
    static INLINE void input(const Vector* from, Vector* to) {
        const Vector whole0 = from[4 * From];
        const Vector half0 = from[2 * From];
        to[1 * To] = whole0 + half0;
        to[2 * To] = whole0 - half0;
        to[0 * To] = from[4 * From] - from[0 * From];
        to[3 * To] = from[6 * From] - from[2 * From];
        to[4 * To] = from[1 * From];
        to[5 * To] = from[3 * From];
        to[6 * To] = from[5 * From];
    }
    template <int From, int To>
    static INLINE void output(const Vector* from, Vector* to) {
        const Vector sum0 = from[1 * From] + from[2 * From];
        const Vector difference0 = from[1 * From] - from[2 * From];
        to[0 * To] = sum0 + from[0 * From] + from[4 * From];
        to[1 * To] = difference0 + from[5 * From];
        to[2 * To] = sum0 + from[3 * From] + from[6 * From];
    }
};

#define FOR_EACH_ALGORITHM(_) \
    _(Transform_2_3_1, Transform_2_3_1) \
    _(Transform_4_3_1, Transform_4_3_1) \
    _(Transform_6_3_1, Transform_6_3_1) \
    _(Transform_2_5_1, Transform_2_5_1) \
    _(Transform_4_5_1, Transform_4_5_1) \
    _(Transform_4_4_1, Transform_4_4_1) \
    _(Transform_1_1_1, Transform_2_3_1) \
    _(Transform_1_1_1, Transform_4_3_1) \
    _(Transform_1_1_1, Transform_4_7_1) \
    _(Transform_1_1_1, Transform_6_7_1) \
    _(Transform_2_3_1, Transform_1_1_1) \
    _(Transform_4_3_1, Transform_1_1_1) \
    _(Transform_4_7_1, Transform_1_1_1) \
    _(Transform_6_7_1, Transform_1_1_1) \
    _(Transform_2_3_2, Transform_2_3_2) \
    _(Transform_3_3_2, Transform_3_3_2)

}  // namespace LEVEL
