#include "sources.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

namespace nb = nanobind;

namespace dctnet::jpeg {

Source source_from(nb::handle object) {
    Source source;
    PyObject* const path = PyUnicode_Check(object.ptr()) ? nb::handle(object).inc_ref().ptr()
                           : PyObject_CheckBuffer(object.ptr()) ? nullptr
                                                                : PyOS_FSPath(object.ptr());
    if (path != nullptr) {
        const nb::object owner = nb::steal(path);
        PyObject* bytes = nullptr;
        if (PyUnicode_FSConverter(path, &bytes) == 0) throw nb::python_error();
        const nb::object bytes_owner = nb::steal(bytes);
        source.path.assign(PyBytes_AS_STRING(bytes), static_cast<std::size_t>(PyBytes_GET_SIZE(bytes)));
        source.is_path = true;
    } else if (PyErr_Occurred() != nullptr || PyObject_GetBuffer(object.ptr(), &source.buffer, PyBUF_SIMPLE) != 0) {
        throw nb::python_error();
    }
    return source;
}

namespace {

constexpr std::size_t kFirstRoom = std::size_t{1} << 18, kMostGuessed = std::size_t{1} << 30;

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

File open_unbuffered(const std::string& path) {
    errno = 0;
    File file(std::fopen(path.c_str(), "rb"), &std::fclose);
    if (file != nullptr) std::setvbuf(file.get(), nullptr, _IONBF, 0);
    return file;
}

// Reads up to the end. room(size) gives memory for more than `size` bytes, those read so far in front, and how many it holds.
template <class Room>
int read_all(const File& file, std::size_t& size, const Room& room) {
    size = 0;
    if (file == nullptr) return errno != 0 ? errno : EIO;
    for (;;) {
        const auto [memory, bytes] = room(size);
        size += std::fread(memory + size, 1, bytes - size, file.get());
        if (std::ferror(file.get()) != 0) return errno != 0 ? errno : EIO;
        if (size < bytes) return 0;
    }
}

// One byte more than the file has, if it says so: then its end is met at the first reading.
std::size_t guessed_room(std::FILE* file) {
    const long length = std::fseek(file, 0, SEEK_END) == 0 ? std::ftell(file) : -1;
    std::rewind(file);
    return length >= 0 && static_cast<std::size_t>(length) < kMostGuessed ? static_cast<std::size_t>(length) + 1 : kFirstRoom;
}

}  // namespace

int read_file(const std::string& path, std::vector<std::uint8_t>& bytes, std::size_t& size) {
    return read_all(open_unbuffered(path), size, [&](std::size_t used) {
        if (bytes.size() <= used) bytes.resize(std::max(kFirstRoom, 2 * used));
        return std::pair(bytes.data(), bytes.size());
    });
}

int read_file(const std::string& path, Buffer& bytes, std::size_t& size) {
    const File file = open_unbuffered(path);
    std::size_t held = 0;
    return read_all(file, size, [&](std::size_t used) {
        if (held <= used) {
            held = used == 0 ? guessed_room(file.get()) : 2 * used;
            Buffer larger(held);
            if (used != 0) std::memcpy(larger.data(), bytes.data(), used);
            bytes = std::move(larger);
        }
        return std::pair(static_cast<std::uint8_t*>(bytes.data()), held);
    });
}

std::vector<std::uint8_t>& file_memory() {
    thread_local std::vector<std::uint8_t> memory;
    if (memory.size() > (std::size_t{16} << 20)) std::vector<std::uint8_t>().swap(memory);
    return memory;
}

}  // namespace dctnet::jpeg
