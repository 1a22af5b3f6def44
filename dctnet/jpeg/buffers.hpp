// Memory of decoded images, reused.
//
// A fresh allocation of a megabyte costs the kernel's page faults, as much time as decoding into it. Buffers therefore
// return to a process-wide free list when their last owner dies, and the next image of a similar size takes them over.
#pragma once

#include <cstddef>
#include <utility>

namespace dctnet::jpeg {

// Bytes that the free list holds at most; beyond that, buffers of the size that was not asked for the longest time go back
// to the system: many images read at once must not fill it for ever with sizes that nobody wants.
inline constexpr std::size_t kPoolBytes = std::size_t{128} << 20;

// Owns one block of memory, 64-byte aligned, contents undefined. Moves, does not copy.
class Buffer {
public:
    Buffer() = default;
    explicit Buffer(std::size_t bytes);  // throws std::bad_alloc
    Buffer(Buffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_class_(other.size_class_) {}
    Buffer& operator=(Buffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_class_, other.size_class_);
        return *this;
    }
    ~Buffer();

    void* data() const { return data_; }

private:
    void* data_ = nullptr;
    std::size_t size_class_ = 0;
};

// Bytes now waiting in the free list.
std::size_t pooled_bytes();

}  // namespace dctnet::jpeg
