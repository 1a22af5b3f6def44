// The inner loop of sequential files: where nearly all the time goes.
//
// A look-up gives up to two coefficients (HuffmanTable::strides). What the loop waits for from one look-up to the next is
// index, load, shift; all else runs beside it, and the one branch of a look-up is the end of the block. A block is decoded
// into a small buffer that stays in the cache; while the next one is decoded, vectors multiply it by the quantisation
// steps, write it to its place and clear the buffer.

#include <algorithm>
#include <cstring>
#include <utility>

#include "entropy.hpp"
#include "finish.hpp"
#include "../kernels/target.hpp"

namespace dctnet::jpeg {
namespace {

// A BitReader for this loop. Only the low six bits of `count` mean anything, which saves masking what is subtracted.
struct Bits {
    std::uint64_t buffer, count;
    const std::uint8_t* next;

    explicit Bits(const BitReader& bits) : buffer(bits.buffer), count(bits.count), next(bits.next) {}
    void give_back(BitReader& bits) const {
        bits.buffer = buffer;
        bits.count = static_cast<unsigned>(count & 63);
        bits.next = next;
    }
    // At least 56 bits are in the buffer afterwards.
    DCTNET_INLINE void refill() {
        buffer |= load_big_endian(next) >> (count & 63);
        next += ~count >> 3 & 7;
        count |= 56;
    }
    // Of `bits` the low six count.
    DCTNET_INLINE void skip(std::uint64_t bits) {
        buffer <<= bits & 63;
        count -= bits;
    }
};

// kNaturalOrder, and room for the places behind a block that a stride may name.
constexpr std::array<std::uint8_t, 64 + 256> kPlaces = [] {
    std::array<std::uint8_t, 64 + 256> places{};
    std::copy(kNaturalOrder.begin(), kNaturalOrder.end(), places.begin());
    return places;
}();

// One AC coefficient the long way; `place` is 64 afterwards if the block has ended. For codes longer than the index, and
// for blocks that end without an end-of-block code.
DCTNET_NOINLINE Outcome take_coefficient(Bits& bits, const HuffmanTable& table, std::int16_t* block, unsigned& place) {
    bits.refill();
    const auto code = static_cast<std::uint32_t>(bits.buffer >> 48);
    const unsigned length = code_length(table, code);
    if (length > 16) return Outcome::invalid_code;
    const unsigned symbol = symbol_of(table, code, length), run = symbol >> 4, size = symbol & 15;
    bits.skip(length);
    if (size == 0 && run != 15) {
        place = 64;
        return Outcome::ok;
    }
    if (place + run > 63) return Outcome::past_end;
    if (size != 0) {
        const auto value = static_cast<std::uint32_t>(bits.buffer >> (64 - size));
        block[kNaturalOrder[place + run]] = static_cast<std::int16_t>(extend(value, static_cast<int>(size)));
        bits.skip(size);
    }
    place += run + 1;
    return Outcome::ok;
}

// A DC difference whose code is longer than the index, at the front of the buffer.
DCTNET_NOINLINE bool find_difference(std::uint64_t buffer, const HuffmanTable& table, Difference& found) {
    const auto code = static_cast<std::uint32_t>(buffer >> 48);
    const unsigned length = code_length(table, code);
    if (length > 16) return false;
    const unsigned size = symbol_of(table, code, length);
    found = {static_cast<std::uint8_t>(length + size), static_cast<std::uint8_t>(64 - length - size),
             static_cast<std::uint16_t>((1u << size) - 1)};
    return true;
}

// The value (F.2.2.1, EXTEND) of the bits that `shift` brings to the right end of `buffer`, as many as `ones` has; or 0.
DCTNET_INLINE std::int16_t value_of(std::uint64_t buffer, unsigned shift, std::int32_t ones) {
    const std::int32_t bits = static_cast<std::int32_t>(buffer >> shift) & ones;
    return static_cast<std::int16_t>(bits - (2 * bits > ones ? 0 : ones));
}

enum class Step { on, end, slow };

// One stride with its bits loaded. `place` points into kPlaces.
DCTNET_INLINE Step take_stride(const Stride& stride, Bits& bits, std::int16_t* block, const std::uint8_t*& place) {
    const std::uint8_t* const next = place + stride.next;
    const unsigned length = stride.length;  // loaded first: the next index waits for it
    const std::uint64_t buffer = bits.buffer;
    if (next < kPlaces.data() + 64) {
        bits.skip(length);
        block[place[stride.former]] = stride.value;
        block[next[-1]] = value_of(buffer, stride.shift, stride.ones);
        place = next;
        return Step::on;
    }
    if (DCTNET_UNLIKELY(static_cast<std::size_t>(next - kPlaces.data()) - kStrideEnd >= 63)) return Step::slow;
    bits.skip(length);
    block[place[stride.former]] = stride.value;
    return Step::end;
}

// Decodes one block into `block`, which is clear. On entry and on success at least kStrideBits bits are loaded: an entry
// is looked up before the buffer is refilled, so that the table's latency hides the refill's.
DCTNET_INLINE Outcome decode_block(Bits& bits, const HuffmanTable& dc, const HuffmanTable& ac, std::int32_t& prediction,
                                   std::int16_t* block) {
    Difference difference = dc.differences[bits.buffer >> (64 - kDifferenceBits)];
    bits.refill();
    if (DCTNET_UNLIKELY(difference.length == 0) && !find_difference(bits.buffer, dc, difference)) return Outcome::invalid_code;
    // Wraps like libjpeg's 16-bit coefficients; unsigned, so that a hostile file cannot overflow.
    prediction = static_cast<std::int32_t>(
        static_cast<std::uint32_t>(prediction) +
        static_cast<std::uint32_t>(std::int32_t{value_of(bits.buffer, difference.shift, difference.ones)}));
    bits.skip(difference.length);
    block[0] = static_cast<std::int16_t>(static_cast<std::uint16_t>(prediction));

    for (const std::uint8_t* place = kPlaces.data() + 1;;) {
        const Stride& first = ac.strides[bits.buffer >> (64 - kStrideBits)];
        bits.refill();
        Step step = take_stride(first, bits, block, place);
        if (step == Step::on) {
            step = take_stride(ac.strides[bits.buffer >> (64 - kStrideBits)], bits, block, place);
            if (step == Step::on) continue;
        }
        if (step == Step::end) return Outcome::ok;
        // Copies go there and back, so that the loop's own variables stay in registers.
        Bits copy = bits;
        auto next = static_cast<unsigned>(place - kPlaces.data());
        const Outcome outcome = take_coefficient(copy, ac, block, next);
        bits = copy;
        place = kPlaces.data() + next;
        if (outcome != Outcome::ok || next == 64) return outcome;
    }
}

// Where the blocks of one place in an MCU lie, and what decodes and finishes them.
struct Place {
    std::int16_t* out;
    std::ptrdiff_t step;
    const HuffmanTable* dc;
    const HuffmanTable* ac;
    const Finish* finish;
    std::int32_t* prediction;
};

// MCUs whose places all go on as they begin: within the picture, or in its padding.
struct Run {
    std::array<Place, 10> places;
    int count = 0;   // of places
    int length = 0;  // in MCUs
    alignas(64) std::int16_t blocks[2][64] = {};  // clear between runs
    alignas(64) std::int16_t dropped[64];
};

// Decodes a run. A finished block waits until the next one is decoded: what was stored piecemeal cannot be loaded at once.
DCTNET_INLINE Outcome decode_run(Run& run, BitReader& reader) {
    std::int16_t *block = run.blocks[0], *done = run.blocks[1], *out = run.dropped;
    const Finish* finish = run.places[0].finish;
    Bits bits(reader);
    const std::uint8_t* const limit = reader.end + 16;
    Outcome outcome = Outcome::ok;
    Place* const end = run.places.data() + run.count;
    for (int left = run.length; left > 0; --left) {
        for (Place* place = run.places.data(); place != end; ++place) {
            outcome = decode_block(bits, *place->dc, *place->ac, *place->prediction, block);
            if (DCTNET_UNLIKELY(outcome != Outcome::ok)) break;
            if (DCTNET_UNLIKELY(bits.next > limit)) {
                outcome = Outcome::exhausted;
                break;
            }
            finish->run(done, out, *finish);
            std::swap(block, done);
            finish = place->finish;
            out = place->out;
            place->out += place->step;
        }
        if (DCTNET_UNLIKELY(outcome != Outcome::ok)) break;
    }
    finish->run(done, out, *finish);
    bits.give_back(reader);
    return outcome;
}

Outcome decode_run_portable(Run& run, BitReader& reader) { return decode_run(run, reader); }

#if defined(DCTNET_FAST)
DCTNET_FAST Outcome decode_run_fast(Run& run, BitReader& reader) { return decode_run(run, reader); }
#endif

auto fastest_decode_run() {
#if defined(DCTNET_FAST)
    if (fast_processor()) return decode_run_fast;
#endif
    return decode_run_portable;
}

}  // namespace

void decode_sequential(const Scan& scan, IntervalReader& reader) {
    static const auto decode = fastest_decode_run();
    std::array<std::int32_t, 3> predictions{};
    std::array<Finish, 3> finishes;
    for (std::size_t c = 0; c < finishes.size() && c < static_cast<std::size_t>(scan.count); ++c) {
        finishes[c] = finish_with(scan.components[c].quantization, scan.components[c].bands);
    }
    std::array<BlockPlace, 10> blocks;
    Run run;
    for_each_run(
        scan, reader, [&] { predictions.fill(0); },
        [&](int row, int column, int length) {
            run.count = place_blocks(scan, row, column, blocks);
            Outcome outcome = Outcome::ok;
            for (int mcu = 0; mcu < length && outcome == Outcome::ok; mcu += run.length) {
                run.length = length - mcu;
                for (std::size_t i = 0; i < static_cast<std::size_t>(run.count); ++i) {
                    const auto c = static_cast<std::size_t>(blocks[i].component);
                    const ScanComponent& component = scan.components[c];
                    const auto& [out, step, first, inside, _] = blocks[i];
                    const bool within = mcu >= first && mcu < inside;
                    run.places[i] = {within ? out + (mcu - first) * step : run.dropped, within ? step : 0,
                                     component.dc, component.ac, &finishes[c], &predictions[c]};
                    if (mcu < inside) run.length = std::min(run.length, (within ? inside : first) - mcu);
                }
                outcome = decode(run, reader.bits);
            }
            return outcome;
        });
}

}  // namespace dctnet::jpeg
