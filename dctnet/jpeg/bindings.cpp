#include "bindings.hpp"

NB_MODULE(_native, module) {
    dctnet::jpeg::bind_decoder(module);
    dctnet::jpeg::bind_files(module);
    dctnet::jpeg::bind_lifted(module);
}
