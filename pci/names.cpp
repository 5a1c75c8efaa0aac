// SPDX-License-Identifier: GPL-2.0-or-later
#include "names.hpp"

#include <fmt/format.h>

#include <array>
#include <csetjmp>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "libpci.hpp"

namespace vfb::pci {
namespace {

// libpci's error handler must not return, gets no context of ours, and exits when it is not
// replaced. Ours jumps out of the library to where the call was made; the place is kept for each
// thread, since there is no other way to hand it over. An exception would have to cross C code.
struct Escape {
    std::jmp_buf place;
    std::array<char, 256> message;
};
thread_local Escape* escape = nullptr;

// The GNU attribute: with it, as libpci declares its member, noreturn is part of the type for
// clang.
__attribute__((noreturn)) void on_error(char* format, ...) {
    // Every call into libpci is made with a place to go to.
    if (escape == nullptr) std::abort();
    std::va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(escape->message.data(), escape->message.size(), format, arguments);
    va_end(arguments);
    std::longjmp(escape->place, 1);
}

// Libraries do not write to standard error; nothing that libpci warns of concerns names.
void on_warning(char* /*format*/, ...) {}

constexpr int kTextSize = 1024;
using Text = std::array<char, kTextSize>;

// No object with a destructor may live between setjmp and a longjmp, so the call has a function to
// itself that holds none. False: `complaint` has what libpci said.
bool call_lookup(pci_access* access, Text& text, Text& complaint, int flags, int first,
                 int second) {
    Escape here;
    here.message[0] = '\0';
    escape = &here;
    const bool escaped = setjmp(here.place) != 0;
    if (!escaped) {
        const char* name =
            second < 0 ? pci_lookup_name(access, text.data(), kTextSize, flags, first)
                       : pci_lookup_name(access, text.data(), kTextSize, flags, first, second);
        // It answers NULL for what it does not know, and may answer a text of its own.
        if (name == nullptr)
            text[0] = '\0';
        else if (name != text.data())
            std::snprintf(text.data(), text.size(), "%s", name);
    }
    escape = nullptr;
    if (!escaped) return true;
    std::memcpy(complaint.data(), here.message.data(), here.message.size());
    return false;
}

}  // namespace

void Names::Free::operator()(pci_access* access) const {
    pci_cleanup(access);
}

Names::Names(const std::string& file) : access_(pci_alloc()) {
    access_->error = on_error;
    access_->warning = on_warning;
    access_->debug = on_warning;
    // Neither DNS nor a cache file in the home directory of whoever runs us.
    access_->id_lookup_mode = 0;
    if (!file.empty()) pci_set_name_list_path(access_.get(), ::strdup(file.c_str()), 1);
}

std::string Names::look_up(int flags, int first, int second) {
    Text text;
    Text complaint;
    if (call_lookup(access_.get(), text, complaint, flags | PCI_LOOKUP_NO_NUMBERS, first, second))
        return text.data();
    std::string reason = complaint.data();
    while (reason.ends_with('\n')) reason.pop_back();
    const std::string file = access_->id_file_name == nullptr ? "" : access_->id_file_name;
    error_ = fail(Code::failed, "look up the names of PCI functions", file, std::move(reason),
                  "reinstall the package that " + file + " belongs to, or run update-pciids")
                 .error();
    return {};
}

const std::string& Names::vendor(std::uint16_t vendor) {
    const auto [entry, added] = cache_.try_emplace(1ULL << 32 | vendor);
    if (added) entry->second = look_up(PCI_LOOKUP_VENDOR, vendor, -1);
    return entry->second;
}

const std::string& Names::device(std::uint16_t vendor, std::uint16_t device) {
    const auto key = 2ULL << 32 | static_cast<std::uint64_t>(vendor) << 16 | device;
    const auto [entry, added] = cache_.try_emplace(key);
    if (added) entry->second = look_up(PCI_LOOKUP_DEVICE, vendor, device);
    return entry->second;
}

const std::string& Names::class_name(std::uint32_t class_code) {
    const auto code = class_code >> 8;  // the interface has no part in the name
    const auto [entry, added] = cache_.try_emplace(3ULL << 32 | code);
    std::string& name = entry->second;
    if (added) name = look_up(PCI_LOOKUP_CLASS, static_cast<int>(code), -1);
    // Of a subclass that it does not know libpci gives the class with the number behind it.
    const auto number = fmt::format(" [{:04x}]", code);
    if (added && name.ends_with(number)) name.resize(name.size() - number.size());
    return name;
}

std::optional<Error> Names::take_error() {
    return std::exchange(error_, std::nullopt);
}

}  // namespace vfb::pci
