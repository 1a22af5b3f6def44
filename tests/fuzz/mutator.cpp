// Mutations that know what a JPEG file is made of: without them nearly every mutated file is refused at its first segment.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

using Bytes = std::vector<std::uint8_t>;

// A marker with its segment, or a stretch of entropy-coded data (marker 0).
struct Part {
    unsigned marker;
    Bytes content;  // without marker and length
};

bool has_length(unsigned marker) { return marker != 0x01 && !(marker >= 0xD0 && marker <= 0xD9); }

std::vector<Part> parse(const std::uint8_t* data, std::size_t size) {
    std::vector<Part> parts;
    for (std::size_t at = 0; at < size;) {
        if (at + 1 < size && data[at] == 0xFF && data[at + 1] != 0 && data[at + 1] != 0xFF) {
            Part part{data[at + 1], {}};
            at += 2;
            if (has_length(part.marker) && at + 1 < size) {
                const std::size_t length = std::max<std::size_t>(2, data[at] << 8 | data[at + 1]);
                const std::size_t end = std::min(size, at + length);
                if (end > at + 2) part.content.assign(data + at + 2, data + end);
                at = end;
            }
            parts.push_back(part);
            continue;
        }
        const std::size_t start = at++;
        while (at < size && !(data[at] == 0xFF && at + 1 < size && data[at + 1] != 0 && data[at + 1] != 0xFF)) ++at;
        parts.push_back({0, Bytes(data + start, data + at)});
    }
    return parts;
}

Bytes join(const std::vector<Part>& parts) {
    Bytes bytes;
    for (const Part& part : parts) {
        if (part.marker != 0) {
            bytes.push_back(0xFF);
            bytes.push_back(static_cast<std::uint8_t>(part.marker));
            if (has_length(part.marker)) {
                const std::size_t length = std::min<std::size_t>(65535, part.content.size() + 2);
                bytes.push_back(static_cast<std::uint8_t>(length >> 8));
                bytes.push_back(static_cast<std::uint8_t>(length));
            }
        }
        bytes.insert(bytes.end(), part.content.begin(), part.content.end());
    }
    return bytes;
}

void mutate(Bytes& bytes, std::size_t room) {
    const std::size_t size = bytes.size();
    bytes.resize(size + room);
    bytes.resize(LLVMFuzzerMutate(bytes.data(), size, bytes.size()));
}

// Bits change, and the byte stuffing stays.
void mutate_bits(Bytes& data, std::minstd_rand& random) {
    for (unsigned i = random() % 4 + 1; i > 0 && !data.empty(); --i) {
        const std::size_t at = random() % data.size();
        if ((at > 0 && data[at - 1] == 0xFF) || data[at] == 0xFF) continue;
        data[at] ^= static_cast<std::uint8_t>(1u << random() % 8);
        if (data[at] == 0xFF) data.insert(data.begin() + static_cast<std::ptrdiff_t>(at) + 1, 0);
    }
}

// Fields of a frame or scan header, to values that might be allowed.
void mutate_fields(Part& part, std::minstd_rand& random) {
    Bytes& content = part.content;
    if (content.size() < 6) return;
    if (part.marker == 0xDA) {
        if (random() % 2 == 0) {
            content[1 + random() % (content.size() - 4)] = static_cast<std::uint8_t>(random() % 4 * (random() % 2 == 0 ? 1 : 17));
        } else {
            std::uint8_t* const band = content.data() + content.size() - 3;
            const unsigned low = random() % 4, first = random() % 8;
            band[0] = static_cast<std::uint8_t>(first);
            band[1] = static_cast<std::uint8_t>(first == 0 ? 0 : first + random() % (64 - first));
            band[2] = static_cast<std::uint8_t>(random() % 2 == 0 ? low : (low + 1) << 4 | low);
        }
        return;
    }
    const std::size_t components = (content.size() - 6) / 3;
    if (components == 0 || random() % 3 == 0) {
        content[random() % 2 == 0 ? 2 : 4] = static_cast<std::uint8_t>(1 + random() % 64);
    } else {
        std::uint8_t* const component = content.data() + 6 + 3 * (random() % components);
        component[1] = static_cast<std::uint8_t>((1 + random() % 4) << 4 | (1 + random() % 4));
        if (random() % 4 == 0) component[2] = static_cast<std::uint8_t>(random() % 4);
    }
}

void mutate_order(std::vector<Part>& parts, std::minstd_rand& random) {
    const std::size_t from = random() % parts.size(), to = random() % parts.size();
    const Part copy = parts[from];
    const auto at = [&](std::size_t i) { return parts.begin() + static_cast<std::ptrdiff_t>(i); };
    switch (random() % 5) {
        case 0: parts.insert(at(to), copy); break;
        case 1: parts.erase(at(from)); break;
        case 2: std::swap(parts[from], parts[to]); break;
        case 3: parts.insert(at(to), {0xDD, {0, static_cast<std::uint8_t>(random() % 6)}}); break;
        default: {  // a restart marker within a scan
            Part& part = parts[from];
            if (part.marker != 0 || part.content.empty()) return;
            const auto cut = static_cast<std::ptrdiff_t>(random() % part.content.size());
            const Part rest{0, Bytes(part.content.begin() + cut, part.content.end())};
            part.content.erase(part.content.begin() + cut, part.content.end());
            parts.insert(at(from + 1), {Part{0xD0 + static_cast<unsigned>(random() % 8), {}}, rest});
        }
    }
}

std::size_t any_of_kind(const std::vector<Part>& parts, std::minstd_rand& random, bool (*kind)(const Part&)) {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (kind(parts[i])) found.push_back(i);
    }
    return found.empty() ? parts.size() : found[random() % found.size()];
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned int seed) {
    std::minstd_rand random(seed);
    (void)random();
    const unsigned kind = random() % 16;
    std::vector<Part> parts = parse(data, size);
    if (kind < 2 || parts.empty()) return LLVMFuzzerMutate(data, size, max_size);
    const std::size_t room = max_size > size ? std::min<std::size_t>(max_size - size, 64) : 0;
    if (kind < 8) {  // scans
        const std::size_t i = any_of_kind(parts, random, [](const Part& part) { return part.marker == 0; });
        if (i == parts.size()) return LLVMFuzzerMutate(data, size, max_size);
        if (kind < 6) mutate_bits(parts[i].content, random); else mutate(parts[i].content, room);
    } else if (kind < 10) {  // any segment
        const std::size_t i = any_of_kind(parts, random, [](const Part& part) { return !part.content.empty() && part.marker != 0; });
        if (i == parts.size()) return LLVMFuzzerMutate(data, size, max_size);
        mutate(parts[i].content, room);
    } else if (kind < 13) {  // fields
        const std::size_t i = any_of_kind(parts, random, [](const Part& part) {
            return part.marker == 0xDA || (part.marker >= 0xC0 && part.marker <= 0xC2);
        });
        if (i == parts.size()) return LLVMFuzzerMutate(data, size, max_size);
        mutate_fields(parts[i], random);
        if (random() % 8 == 0 && parts[i].marker != 0xDA) parts[i].marker = 0xC0 + random() % 3;
    } else {
        mutate_order(parts, random);
    }
    const Bytes bytes = join(parts);
    const std::size_t length = std::min(bytes.size(), max_size);
    std::copy_n(bytes.begin(), length, data);
    return length;
}
