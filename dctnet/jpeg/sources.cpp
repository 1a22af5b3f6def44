#include "sources.hpp"

#include <cerrno>
#include <cstdio>
#include <memory>

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

int read_file(const std::string& path, std::vector<std::uint8_t>& bytes, std::size_t& size) {
    size = 0;
    errno = 0;
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
    if (file == nullptr) return errno != 0 ? errno : EIO;
    std::setvbuf(file.get(), nullptr, _IONBF, 0);
    if (bytes.size() < (std::size_t{1} << 18)) bytes.resize(std::size_t{1} << 18);
    for (;;) {
        const std::size_t read = std::fread(bytes.data() + size, 1, bytes.size() - size, file.get());
        size += read;
        if (std::ferror(file.get()) != 0) return errno != 0 ? errno : EIO;
        if (size < bytes.size()) return 0;
        bytes.resize(2 * bytes.size());
    }
}

std::vector<std::uint8_t>& file_memory() {
    thread_local std::vector<std::uint8_t> memory;
    if (memory.size() > (std::size_t{16} << 20)) std::vector<std::uint8_t>().swap(memory);
    return memory;
}

}  // namespace dctnet::jpeg
