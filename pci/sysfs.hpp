// SPDX-License-Identifier: GPL-2.0-or-later
//
// FunctionDir: one function's folder in sysfs, read with as few system calls as can be.
//
// An inventory makes some twenty reads for each of thousands of functions, and most of what it asks
// for is absent from most of them. So an absent attribute costs one call and no Error here, and the
// value stands in a buffer that the next read overwrites.
#pragma once

#include <array>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/sys_root.hpp"
#include "base/unique_fd.hpp"
#include "pci/inventory.hpp"

namespace vfb::pci {

class FunctionDir {
public:
    using Buffer = std::array<char, 4096>;  // sysfs attributes are a page at most

    // `devices` is bus/pci/devices; it and `buffer` must outlive the result. errno says why there
    // is none.
    static std::optional<FunctionDir> open(const Dir& devices, const Address& address,
                                           Buffer& buffer);

    // An attribute without its last newline, valid until the next call. Absent, or with `gone` as
    // the error: nullopt. Unreadable: nullopt and a problem. `name` may be a path below this
    // folder.
    std::optional<std::string_view> read(const char* name, int gone = ENOENT);
    // The last component of a link's target, valid until the next call. Absent: nullopt.
    std::optional<std::string_view> link_name(const char* name);
    // An attribute that is a number; what is none is a problem.
    std::optional<std::int64_t> number(const char* name, int gone = ENOENT);
    // nullopt with errno when it cannot be opened; no problem is noted.
    std::optional<UniqueFd> open_file(const char* name, int flags) const;

    [[nodiscard]] bool exists(const char* name) const;

    void problem(std::string_view name, std::string reason, int errnum = 0);
    void problem(Error error) { problems_.push_back({address_, std::move(error)}); }
    // What could not be read so far.
    [[nodiscard]] std::vector<ReadProblem> take_problems() { return std::move(problems_); }

    [[nodiscard]] const Address& address() const { return address_; }
    [[nodiscard]] int fd() const { return fd_.get(); }

private:
    FunctionDir(UniqueFd fd, const Dir& devices, const Address& address, Buffer& buffer)
        : fd_(std::move(fd)), devices_(&devices), buffer_(&buffer), address_(address) {}

    UniqueFd fd_;
    const Dir* devices_;  // for messages
    Buffer* buffer_;
    Address address_;
    std::vector<ReadProblem> problems_;
};

// N of `virtfnN` and the VF's address, in order of N. Code::not_found when the function is not
// there, Code::failed when a link leads to no function.
struct VirtualFunction {
    std::uint16_t index = 0;
    Address address;
};
Result<std::vector<VirtualFunction>> read_virtual_functions(const Dir& function);

// Which VF of the PF in folder `pf` it is: what offset and stride say, if the PF's link agrees.
// That is three reads, however many VFs there are. nullopt: read_virtual_functions() tells.
std::optional<std::uint16_t> index_of_vf(const Dir& pf, const Address& pf_address,
                                         const Address& vf);

// Folder of a function below bus/pci/devices; Code::not_found says which function is missing.
Result<Dir> open_function(const SysRoot& root, const Address& address,
                          const std::string& operation);

}  // namespace vfb::pci
