// Where bytes come from: a path to open, or a Python buffer.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "buffers.hpp"

namespace dctnet::jpeg {

// A path to open, or a buffer held open until the batch is done.
struct Source {
    std::string path;
    Py_buffer buffer{};
    bool is_path = false;

    Source() = default;
    Source(Source&& other) noexcept : path(std::move(other.path)), buffer(other.buffer), is_path(other.is_path) {
        other.buffer = Py_buffer{};
    }
    Source& operator=(Source&&) = delete;
    ~Source() {
        if (buffer.obj != nullptr) PyBuffer_Release(&buffer);
    }
};

// The source that a Python object stands for: str, os.PathLike, or a contiguous buffer of bytes. Throws nb::python_error.
Source source_from(nanobind::handle object);

// Reads a whole file into the front of `bytes`; gives errno, or 0.
int read_file(const std::string& path, std::vector<std::uint8_t>& bytes, std::size_t& size);

// The same into memory of the file's size.
int read_file(const std::string& path, Buffer& bytes, std::size_t& size);

// Memory through which this thread reads files, kept between calls unless a file was huge.
std::vector<std::uint8_t>& file_memory();

}  // namespace dctnet::jpeg
