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

struct Transform_5_3_1 {
    static constexpr int outputs = 5, span = 7;

    template <int From, int To>
    static INLINE void input(const Vector* from, Vector* to) {
        const Vector whole0 = 2.344726562f * from[1 * From] + from[5 * From] - 3.828125f * from[3 * From];
        const Vector half0 = 0.5861816406f * from[0 * From] + 0.25f * from[4 * From] - 0.95703125f * from[2 * From];
        to[0 * To] = whole0 + half0;
        to[1 * To] = whole0 - half0;
        const Vector whole1 = 0.19140625f * from[1 * From] + from[5 * From] - 3.125f * from[3 * From];
        const Vector half1 = 0.1674804688f * from[0 * From] + 0.875f * from[4 * From] - 2.734375f * from[2 * From];
        to[2 * To] = whole1 + half1;
        to[3 * To] = whole1 - half1;
        const Vector whole2 = 0.0478515625f * from[1 * From] + from[5 * From] - 0.828125f * from[3 * From];
        const Vector half2 = 0.08374023438f * from[0 * From] + 1.75f * from[4 * From] - 1.44921875f * from[2 * From];
        to[4 * To] = whole2 + half2;
        to[5 * To] = whole2 - half2;
        to[6 * To] = 2.583984375f * from[2 * From] + from[6 * From] - 0.1465454102f * from[0 * From] - 3.890625f * from[4 * From];
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
        to[1 * To] = 0.25f * difference0 + 0.875f * difference1 + 1.75f * difference2;
        to[2 * To] = 0.0625f * sum0 + 0.765625f * sum1 + 3.0625f * sum2;
        to[3 * To] = 0.015625f * difference0 + 0.669921875f * difference1 + 5.359375f * difference2;
        to[4 * To] = 0.00390625f * sum0 + 0.5861816406f * sum1 + 9.37890625f * sum2 + from[6 * From];
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
        const Vector whole0 = 2.344726562f * from[1 * From] + from[5 * From] - 3.828125f * from[3 * From];
        const Vector half0 = 0.5861816406f * from[0 * From] + 0.25f * from[4 * From] - 0.95703125f * from[2 * From];
        to[0 * To] = whole0 + half0;
        to[1 * To] = whole0 - half0;
        const Vector whole1 = 0.19140625f * from[1 * From] + from[5 * From] - 3.125f * from[3 * From];
        const Vector half1 = 0.1674804688f * from[0 * From] + 0.875f * from[4 * From] - 2.734375f * from[2 * From];
        to[2 * To] = whole1 + half1;
        to[3 * To] = whole1 - half1;
        const Vector whole2 = 0.0478515625f * from[1 * From] + from[5 * From] - 0.828125f * from[3 * From];
        const Vector half2 = 0.08374023438f * from[0 * From] + 1.75f * from[4 * From] - 1.44921875f * from[2 * From];
        to[4 * To] = whole2 + half2;
        to[5 * To] = whole2 - half2;
        to[6 * To] = 2.583984375f * from[2 * From] + from[6 * From] - 0.1465454102f * from[0 * From] - 3.890625f * from[4 * From];
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
        to[1 * To] = 0.25f * difference0 + 0.875f * difference1 + 1.75f * difference2;
        to[2 * To] = 0.0625f * sum0 + 0.765625f * sum1 + 3.0625f * sum2;
        to[3 * To] = 0.015625f * difference0 + 0.669921875f * difference1 + 5.359375f * difference2 + from[6 * From];
    }
};

struct Transform_4_2_1 {
    static constexpr int outputs = 4, span = 5;

    template <int From, int To>
    static INLINE void input(const Vector* from, Vector* to) {
        const Vector whole0 = from[3 * From] - 2.25f * from[1 * From];
        const Vector half0 = 0.5f * from[2 * From] - 1.125f * from[0 * From];
        to[0 * To] = whole0 + half0;
        to[1 * To] = whole0 - half0;
        const Vector whole1 = from[3 * From] - 0.25f * from[1 * From];
        const Vector half1 = 1.5f * from[2 * From] - 0.375f * from[0 * From];
        to[2 * To] = whole1 + half1;
        to[3 * To] = whole1 - half1;
        to[4 * To] = 0.5625f * from[0 * From] + from[4 * From] - 2.5f * from[2 * From];
    }
    template <int From, int To>
    static INLINE void output(const Vector* from, Vector* to) {
        const Vector sum0 = from[0 * From] + from[1 * From];
        const Vector difference0 = from[0 * From] - from[1 * From];
        const Vector sum1 = from[2 * From] + from[3 * From];
        const Vector difference1 = from[2 * From] - from[3 * From];
        to[0 * To] = sum0 + sum1;
        to[1 * To] = 0.5f * difference0 + 1.5f * difference1;
        to[2 * To] = 0.25f * sum0 + 2.25f * sum1;
        to[3 * To] = 0.125f * difference0 + 3.375f * difference1 + from[4 * From];
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
        const Vector whole0 = 14.9230957f * from[4 * From] + from[8 * From] - 6.446838379f * from[2 * From] - 8.47265625f * from[6 * From];
        const Vector half0 = 6.52885437f * from[3 * From] + 0.4375f * from[7 * From] - 2.820491791f * from[1 * From] - 3.706787109f * from[5 * From];
        to[1 * To] = whole0 + half0;
        to[2 * To] = whole0 - half0;
        const Vector whole1 = 11.26098633f * from[4 * From] + from[8 * From] - 1.86920166f * from[2 * From] - 8.00390625f * from[6 * From];
        const Vector half1 = 9.149551392f * from[3 * From] + 0.8125f * from[7 * From] - 1.518726349f * from[1 * From] - 6.503173828f * from[5 * From];
        to[3 * To] = whole1 + half1;
        to[4 * To] = whole1 - half1;
        const Vector whole2 = 5.448623657f * from[4 * From] + from[8 * From] - 0.7897377014f * from[2 * From] - 7.1015625f * from[6 * From];
        const Vector half2 = 6.810779572f * from[3 * From] + 1.25f * from[7 * From] - 0.9871721268f * from[1 * From] - 8.876953125f * from[5 * From];
        to[5 * To] = whole2 + half2;
        to[6 * To] = whole2 - half2;
        const Vector whole3 = 1.456924438f * from[4 * From] + from[8 * From] - 0.1974344254f * from[2 * From] - 2.4140625f * from[6 * From];
        const Vector half3 = 3.642311096f * from[3 * From] + 2.5f * from[7 * From] - 0.4935860634f * from[1 * From] - 6.03515625f * from[5 * From];
        to[7 * To] = whole3 + half3;
        to[8 * To] = whole3 - half3;
        to[0 * To] = 1.233965158f * from[0 * From] + 16.54481506f * from[4 * From] + from[8 * From] - 9.303212166f * from[2 * From] - 8.6640625f * from[6 * From];
        to[9 * To] = 1.233965158f * from[1 * From] + 16.54481506f * from[5 * From] + from[9 * From] - 9.303212166f * from[3 * From] - 8.6640625f * from[7 * From];
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
        to[1 * To] = 0.4375f * difference0 + 0.8125f * difference1 + 1.25f * difference2 + 2.5f * difference3;
        to[2 * To] = 0.19140625f * sum0 + 0.66015625f * sum1 + 1.5625f * sum2 + 6.25f * sum3;
        to[3 * To] = 0.08374023438f * difference0 + 0.5363769531f * difference1 + 1.953125f * difference2 + 15.625f * difference3 + from[9 * From];
    }
};

struct Transform_6_7_1 {
    static constexpr int outputs = 6, span = 12;

    template <int From, int To>
    static INLINE void input(const Vector* from, Vector* to) {
        const Vector whole0 = 8.042541504f * from[2 * From] + 31.9387207f * from[6 * From] + from[10 * From] - 29.69610596f * from[4 * From] - 11.28515625f * from[8 * From];
        const Vector half0 = 3.015953064f * from[1 * From] + 11.97702026f * from[5 * From] + 0.375f * from[9 * From] - 11.13603973f * from[3 * From] - 4.231933594f * from[7 * From];
        to[1 * To] = whole0 + half0;
        to[2 * To] = whole0 - half0;
        const Vector whole1 = 2.392822266f * from[2 * From] + 28.34863281f * from[6 * From] + from[10 * From] - 20.78833008f * from[4 * From] - 10.953125f * from[8 * From];
        const Vector half1 = 1.645065308f * from[1 * From] + 19.48968506f * from[5 * From] + 0.6875f * from[9 * From] - 14.29197693f * from[3 * From] - 7.530273438f * from[7 * From];
        to[3 * To] = whole1 + half1;
        to[4 * To] = whole1 - half1;
        const Vector whole2 = 1.130982399f * from[2 * From] + 23.09991455f * from[6 * From] + from[10 * From] - 11.08757401f * from[4 * From] - 10.42578125f * from[8 * From];
        const Vector half2 = 1.130982399f * from[1 * From] + 23.09991455f * from[5 * From] + from[9 * From] - 11.08757401f * from[3 * From] - 10.42578125f * from[7 * From];
        to[5 * To] = whole2 + half2;
        to[6 * To] = whole2 - half2;
        const Vector whole3 = 0.502658844f * from[2 * From] + 12.88018799f * from[6 * From] + from[10 * From] - 5.207065582f * from[4 * From] - 9.17578125f * from[8 * From];
        const Vector half3 = 0.753988266f * from[1 * From] + 19.32028198f * from[5 * From] + 1.5f * from[9 * From] - 7.810598373f * from[3 * From] - 13.76367188f * from[7 * From];
        to[7 * To] = whole3 + half3;
        to[8 * To] = whole3 - half3;
        const Vector whole4 = 0.1495513916f * from[2 * From] + 4.309631348f * from[6 * From] + from[10 * From] - 1.595901489f * from[4 * From] - 3.86328125f * from[8 * From];
        const Vector half4 = 0.4112663269f * from[1 * From] + 11.85148621f * from[5 * From] + 2.75f * from[9 * From] - 4.388729095f * from[3 * From] - 10.62402344f * from[7 * From];
        to[9 * To] = whole4 + half4;
        to[10 * To] = whole4 - half4;
        to[0 * To] = 12.2185564f * from[2 * From] + 33.5256958f * from[6 * From] + from[10 * From] - 1.130982399f * from[0 * From] - 34.18748856f * from[4 * From] - 11.42578125f * from[8 * From];
        to[11 * To] = 12.2185564f * from[3 * From] + 33.5256958f * from[7 * From] + from[11 * From] - 1.130982399f * from[1 * From] - 34.18748856f * from[5 * From] - 11.42578125f * from[9 * From];
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
        to[1 * To] = 0.375f * difference0 + 0.6875f * difference1 + difference2 + 1.5f * difference3 + 2.75f * difference4;
        to[2 * To] = 0.140625f * sum0 + 0.47265625f * sum1 + sum2 + 2.25f * sum3 + 7.5625f * sum4;
        to[3 * To] = 0.052734375f * difference0 + 0.3249511719f * difference1 + difference2 + 3.375f * difference3 + 20.796875f * difference4;
        to[4 * To] = 0.01977539062f * sum0 + 0.2234039307f * sum1 + sum2 + 5.0625f * sum3 + 57.19140625f * sum4;
        to[5 * To] = 0.007415771484f * difference0 + 0.1535902023f * difference1 + difference2 + 7.59375f * difference3 + 157.2763672f * difference4 + from[11 * From];
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
    _(Transform_5_3_1, Transform_5_3_1) \
    _(Transform_6_3_1, Transform_6_3_1) \
    _(Transform_2_5_1, Transform_2_5_1) \
    _(Transform_4_5_1, Transform_4_5_1) \
    _(Transform_4_4_1, Transform_4_4_1) \
    _(Transform_4_2_1, Transform_4_2_1) \
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
