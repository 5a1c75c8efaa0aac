// SPDX-License-Identifier: GPL-2.0-or-later
#include "pci/storage_use.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <sstream>

namespace vfb::pci {
namespace {

constexpr const char* kClass = "class/block";
constexpr const char* kNvme = "class/nvme-subsystem";

struct Block {
    std::string path;    // below sys/devices, of which the PCI addresses above it are a part
    std::string number;  // `259:0`
};
using Blocks = std::map<std::string, Block>;

Result<Blocks> read_blocks(const SysRoot& root) {
    Blocks blocks;
    if (!root.sys().exists(kClass)) return blocks;
    VFB_TRY(const auto names, root.sys().list(kClass));
    for (const auto& name : names) {
        const std::string entry = fmt::format("{}/{}", kClass, name);
        auto path = root.sys().read_link(entry);
        auto number = root.sys().read(fmt::format("{}/dev", entry));
        // One that vanished meanwhile is used by nobody.
        if (path && number)
            blocks.emplace(name, Block{.path = std::move(*path), .number = std::move(*number)});
    }
    return blocks;
}

bool has_part(const std::string& path, const std::string& part) {
    return (path + "/").find("/" + part + "/") != std::string::npos;
}

// NVMe multipath: the disk stands below a subsystem, which has links to its controllers.
std::set<std::string> subsystems_of(const SysRoot& root, const std::string& address) {
    std::set<std::string> found;
    const auto subsystems = root.sys().list(kNvme);
    if (!subsystems) return found;  // the kernel has no NVMe
    for (const auto& subsystem : *subsystems) {
        const std::string folder = fmt::format("{}/{}", kNvme, subsystem);
        const auto entries = root.sys().list(folder);
        if (!entries) continue;
        for (const auto& entry : *entries) {
            const auto target = root.sys().read_link(fmt::format("{}/{}", folder, entry));
            if (target && has_part(*target, address)) found.insert(subsystem);
        }
    }
    return found;
}

Result<std::string> read_all(const Dir& proc, const std::string& name) {
    VFB_TRY(const auto fd, proc.open_file(name, O_RDONLY));
    std::string text;
    std::array<char, 16384> part{};
    for (;;) {
        const ssize_t n = ::read(fd.get(), part.data(), part.size());
        if (n < 0) return fail_errno(errno, "read " + proc.path(name), proc.path(name));
        if (n == 0) return text;
        text.append(part.data(), static_cast<std::size_t>(n));
    }
}

class Search {
public:
    Search(const SysRoot& root, Blocks blocks) : root_(root), blocks_(std::move(blocks)) {}

    Result<std::vector<Use>> run(const std::string& address) {
        const auto subsystems = subsystems_of(root_, address);
        for (const auto& [name, block] : blocks_) {
            const bool below = std::ranges::any_of(
                subsystems, [&](const auto& each) { return has_part(block.path, each); });
            if (below || has_part(block.path, address)) add(name);
        }
        if (names_.empty()) return std::move(uses_);
        VFB_CHECK(look_at_mounts());
        look_at_swaps();
        if (root_.is_host() && uses_.empty()) look_at_claims();
        return std::move(uses_);
    }

private:
    void say(const char* kind, std::string text) {
        Use use{.kind = kind, .text = std::move(text)};
        if (std::ranges::find(uses_, use) == uses_.end()) uses_.push_back(std::move(use));
    }

    // Also what is made of it: device mapper and MD devices.
    void add(const std::string& name) {
        const auto block = blocks_.find(name);
        if (block == blocks_.end() || !names_.insert(name).second) return;
        numbers_.emplace(block->second.number, name);
        const auto holders = root_.sys().list(fmt::format("{}/{}/holders", kClass, name));
        if (!holders) return;
        for (const auto& holder : *holders) {
            const auto mapped = root_.sys().read(fmt::format("{}/{}/dm/name", kClass, holder));
            say("holder", mapped ? fmt::format("{} belongs to {} ({})", name, holder, *mapped)
                                 : fmt::format("{} belongs to {}", name, holder));
            add(holder);
        }
    }

    // The disk of a line of mountinfo: by its number, or by the name of its source, since btrfs
    // mounts have numbers of their own.
    [[nodiscard]] std::string disk_of(const std::string& number, const std::string& source) const {
        if (const auto found = numbers_.find(number); found != numbers_.end()) return found->second;
        const std::string name = source.substr(source.rfind('/') + 1);
        return source.starts_with(root_.dev().path() + "/") && names_.contains(name) ? name : "";
    }

    void look_at_mount(const std::string& line) {
        std::istringstream fields(line);
        std::string skipped;
        std::string number;
        std::string place;
        std::string word;
        std::string source;
        fields >> skipped >> skipped >> number >> skipped >> place;
        while (fields >> word && word != "-") {
        }
        fields >> skipped >> source;
        const std::string disk = disk_of(number, source);
        if (!disk.empty()) say("mount", fmt::format("{} is mounted at {}", disk, place));
    }

    Result<> look_at_mounts() {
        VFB_TRY(const auto processes, root_.proc().list());
        std::set<std::string> seen;
        for (const auto& pid : processes) {
            if (!parse_number(pid)) continue;
            const auto space = root_.proc().read_link(pid + "/ns/mnt");
            if (!space || !seen.insert(*space).second) continue;
            const auto mounts = read_all(root_.proc(), pid + "/mountinfo");
            if (!mounts) {  // it ended meanwhile; another process may be in there
                seen.erase(*space);
                continue;
            }
            std::istringstream lines(*mounts);
            for (std::string line; std::getline(lines, line);) look_at_mount(line);
        }
        return {};
    }

    void look_at_swaps() {
        const auto swaps = root_.proc().read("swaps");
        if (!swaps) return;  // a kernel without swap
        std::istringstream lines(*swaps);
        for (std::string line; std::getline(lines, line);) {
            const std::string file = line.substr(0, line.find_first_of(" \t"));
            const std::string name = file.substr(file.rfind('/') + 1);
            if (names_.contains(name)) say("swap", fmt::format("the host swaps to {}", name));
        }
    }

    void look_at_claims() {
        for (const auto& name : names_) {
            const auto alone =
                root_.dev().open_file(name, O_RDONLY | O_EXCL | O_NONBLOCK);  // closed at once
            if (!alone && alone.error().errnum == EBUSY)
                say("claimed", fmt::format("{} is claimed by something that sysfs does not name "
                                           "(ZFS, a filesystem being checked)",
                                           name));
        }
    }

    const SysRoot& root_;
    Blocks blocks_;
    std::set<std::string> names_;
    std::map<std::string, std::string> numbers_;
    std::vector<Use> uses_;
};

}  // namespace

Result<std::vector<Use>> storage_uses(const SysRoot& root, const Address& address) {
    VFB_TRY(auto blocks, read_blocks(root));
    return Search(root, std::move(blocks)).run(address.str());
}

}  // namespace vfb::pci
