// SPDX-License-Identifier: GPL-2.0-or-later
#include "sysfs.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

namespace vfb::pci {

std::optional<FunctionDir> FunctionDir::open(const Dir& devices, const Address& address,
                                             Buffer& buffer) {
    UniqueFd fd(::openat(devices.fd(), address.str().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return std::nullopt;
    return FunctionDir(std::move(fd), devices, address, buffer);
}

std::optional<UniqueFd> FunctionDir::open_file(const char* name, int flags) const {
    UniqueFd fd(::openat(fd_.get(), name, flags | O_CLOEXEC));
    if (!fd) return std::nullopt;
    return fd;
}

std::optional<std::string_view> FunctionDir::read(const char* name, int gone) {
    const auto fd = open_file(name, O_RDONLY);
    ssize_t size = -1;
    if (fd) {
        do size = ::read(fd->get(), buffer_->data(), buffer_->size());
        while (size < 0 && errno == EINTR);
    }
    if (size < 0) {
        // ENODEV: the kernel took the attribute away between open and read.
        if (errno != ENOENT && errno != ENODEV && errno != gone) problem(name, {}, errno);
        return std::nullopt;
    }
    std::string_view text(buffer_->data(), static_cast<std::size_t>(size));
    if (text.ends_with('\n')) text.remove_suffix(1);
    return text;
}

std::optional<std::string_view> FunctionDir::link_name(const char* name) {
    const ssize_t size = ::readlinkat(fd_.get(), name, buffer_->data(), buffer_->size());
    if (size < 0) {
        if (errno != ENOENT) problem(name, {}, errno);
        return std::nullopt;
    }
    const std::string_view target(buffer_->data(), static_cast<std::size_t>(size));
    return target.substr(target.rfind('/') + 1);
}

std::optional<std::int64_t> FunctionDir::number(const char* name, int gone) {
    const auto text = read(name, gone);
    if (!text) return std::nullopt;
    const auto value = parse_number(*text);
    if (!value) problem(name, "'" + std::string(*text) + "' is not a number");
    return value;
}

bool FunctionDir::exists(const char* name) const {
    return ::faccessat(fd_.get(), name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void FunctionDir::problem(std::string_view name, std::string reason, int errnum) {
    const auto file = address_.str() + "/" + std::string(name);
    const auto operation = "read " + devices_->path(file);
    auto error = errnum != 0 ? fail_errno(errnum, operation, address_.str(), std::move(reason))
                             : fail(Code::failed, operation, address_.str(), std::move(reason));
    problem(std::move(error).error());
}

Result<std::vector<VirtualFunction>> read_virtual_functions(const Dir& function) {
    constexpr std::string_view kPrefix = "virtfn";
    VFB_TRY(const auto names, function.list());
    std::vector<VirtualFunction> found;
    for (const std::string& name : names) {
        if (!name.starts_with(kPrefix)) continue;
        VirtualFunction vf;
        const auto* end = name.data() + name.size();
        const auto [ptr, ec] = std::from_chars(name.data() + kPrefix.size(), end, vf.index);
        if (ec != std::errc{} || ptr != end) continue;
        VFB_TRY(const auto target, function.link_name(name));
        if (!target) continue;  // removed since it was listed
        VFB_TRY(vf.address, Address::parse(*target));
        found.push_back(vf);
    }
    std::ranges::sort(found, {}, &VirtualFunction::index);
    return found;
}

std::optional<std::uint16_t> index_of_vf(const Dir& pf, const Address& pf_address,
                                         const Address& vf) {
    const auto routing = [](const Address& a) { return a.bus * 256 + a.device * 8 + a.function; };
    const auto offset = pf.read_number_optional("sriov_offset");
    const auto stride = pf.read_number_optional("sriov_stride");
    if (!offset || !*offset || !stride || !*stride || vf.domain != pf_address.domain)
        return std::nullopt;
    const std::int64_t distance = routing(vf) - routing(pf_address) - **offset;
    const std::int64_t index = **stride > 0 ? distance / **stride : 0;
    if (distance < 0 || !std::in_range<std::uint16_t>(index)) return std::nullopt;
    const auto link = pf.link_name("virtfn" + std::to_string(index));
    if (!link || !*link || **link != vf.str()) return std::nullopt;
    return static_cast<std::uint16_t>(index);
}

Result<Dir> open_function(const SysRoot& root, const Address& address,
                          const std::string& operation) {
    auto dir = root.sys().open_dir("bus/pci/devices/" + address.str());
    if (dir) return dir;
    if (dir.error().errnum == ENOENT)
        return fail(Code::not_found, operation, address.str(), "there is no such function",
                    "lspci -D lists the functions");
    auto outer = fail(dir.error().code, operation, address.str(), {});
    return std::unexpected(std::move(outer).error().because(std::move(dir).error()));
}

}  // namespace vfb::pci
