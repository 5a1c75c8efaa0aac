// SPDX-License-Identifier: GPL-2.0-or-later
#include "device_cgroup.hpp"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/sysmacros.h>

#include <array>
#include <cerrno>
#include <cstddef>

#include "base/unique_fd.hpp"

namespace vfb::cdi {
namespace {

constexpr std::string_view kOperation = "let the container's control group use its devices";

std::unexpected<Error> refused(const std::string& cgroup, std::string reason = {}) {
    return fail_errno(errno, std::string(kOperation), cgroup, std::move(reason),
                      "ask for a function by its name, whose nodes the runtime allows itself: "
                      "vfbroker.io/POOL=ADDRESS");
}

// The process's control group, relative to where they are mounted.
Result<std::string> cgroup_of(const SysRoot& root, pid_t pid) {
    VFB_TRY(const auto text, root.proc().read(fmt::format("{}/cgroup", pid)));
    constexpr std::string_view kUnified = "0::/";
    if (text.contains(":devices:") || !text.starts_with(kUnified))
        return fail(Code::unsupported, std::string(kOperation), std::to_string(pid),
                    "this host has version 1 of control groups for devices",
                    "boot with systemd.unified_cgroup_hierarchy=1, or ask for a function by its "
                    "name: vfbroker.io/POOL=ADDRESS");
    return text.substr(kUnified.size());
}

struct Attached {
    std::vector<std::uint32_t> ids;
    std::uint32_t flags = 0;
};

Result<Attached> query(int cgroup, const std::string& name) {
    constexpr std::size_t kMost = 64;  // the kernel attaches no more to one
    Attached attached;
    attached.ids.resize(kMost);
    struct bpf_prog_query_opts options{};
    options.sz = sizeof options;
    options.prog_ids = attached.ids.data();
    options.prog_cnt = kMost;
    if (::bpf_prog_query_opts(cgroup, BPF_CGROUP_DEVICE, &options) != 0) return refused(name);
    attached.ids.resize(options.prog_cnt);
    attached.flags = options.attach_flags;
    return attached;
}

Result<std::vector<bpf_insn>> instructions(int program, const std::string& name) {
    bpf_prog_info info{};
    std::uint32_t size = sizeof info;
    if (::bpf_obj_get_info_by_fd(program, &info, &size) != 0) return refused(name);
    std::vector<bpf_insn> read(info.xlated_prog_len / sizeof(bpf_insn));
    info = {};
    info.xlated_prog_len = static_cast<std::uint32_t>(read.size() * sizeof(bpf_insn));
    // NOLINTNEXTLINE(*-reinterpret-cast): how bpf(2) takes addresses
    info.xlated_prog_insns = reinterpret_cast<std::uintptr_t>(read.data());
    size = sizeof info;
    if (::bpf_obj_get_info_by_fd(program, &info, &size) != 0) return refused(name);
    if (read.empty() || info.xlated_prog_insns == 0) {
        errno = EPERM;
        return refused(name, "the kernel does not show the program that decides now");
    }
    return read;
}

Result<> replace(int cgroup, const std::string& name, const Attached& attached, std::uint32_t id,
                 const std::vector<dev_t>& devices) {
    const UniqueFd before(::bpf_prog_get_fd_by_id(id));
    if (!before) return refused(name);
    VFB_TRY(const auto old, instructions(before.get(), name));
    const auto wanted = allow_first(devices, old);
    bpf_prog_load_opts how{};
    how.sz = sizeof how;
    how.expected_attach_type = BPF_CGROUP_DEVICE;
    const UniqueFd after(::bpf_prog_load(BPF_PROG_TYPE_CGROUP_DEVICE, "vfbroker", "GPL",
                                         wanted.data(), wanted.size(), &how));
    if (!after) return refused(name, "the kernel does not take the program");
    struct bpf_prog_attach_opts options{};
    options.sz = sizeof options;
    // Without ALLOW_MULTI there is one, and attaching replaces it.
    options.flags = attached.flags;
    if ((attached.flags & BPF_F_ALLOW_MULTI) != 0) {
        options.flags |= BPF_F_REPLACE;
        options.replace_prog_fd = before.get();
    }
    if (::bpf_prog_attach_opts(after.get(), cgroup, BPF_CGROUP_DEVICE, &options) != 0)
        return refused(name);
    return {};
}

bpf_insn instruction(int code, int dst, int src, int offset, std::uint32_t value) {
    bpf_insn result{};
    result.code = static_cast<std::uint8_t>(code);
    result.dst_reg = static_cast<std::uint8_t>(dst & 0xf);
    result.src_reg = static_cast<std::uint8_t>(src & 0xf);
    result.off = static_cast<std::int16_t>(offset);
    result.imm = static_cast<std::int32_t>(value);
    return result;
}

}  // namespace

std::vector<bpf_insn> allow_first(const std::vector<dev_t>& devices,
                                  const std::vector<bpf_insn>& program) {
    const auto load = [](int dst, std::size_t offset) {
        return instruction(BPF_LDX | BPF_MEM | BPF_W, dst, BPF_REG_1, static_cast<int>(offset), 0);
    };
    const auto skip_unless = [](int reg, std::uint32_t value, int count) {
        return instruction(BPF_JMP32 | BPF_JNE | BPF_K, reg, 0, count, value);
    };
    constexpr int kKinds = 0xffff;  // the lower half of access_type; the upper is what for
    constexpr int kMknod = BPF_DEVCG_ACC_MKNOD << 16;
    std::vector<bpf_insn> result;
    for (const dev_t device : devices) {
        const std::array rule{
            load(BPF_REG_2, offsetof(bpf_cgroup_dev_ctx, access_type)),
            instruction(BPF_ALU | BPF_AND | BPF_K, BPF_REG_2, 0, 0, kKinds | kMknod),
            skip_unless(BPF_REG_2, BPF_DEVCG_DEV_CHAR, 6),
            load(BPF_REG_2, offsetof(bpf_cgroup_dev_ctx, major)),
            skip_unless(BPF_REG_2, major(device), 4),
            load(BPF_REG_2, offsetof(bpf_cgroup_dev_ctx, minor)),
            skip_unless(BPF_REG_2, minor(device), 2),
            instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 1),
            instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)};
        result.insert(result.end(), rule.begin(), rule.end());
    }
    result.insert(result.end(), program.begin(), program.end());
    return result;
}

Result<> allow_devices(const SysRoot& root, const State& container,
                       const std::vector<dev_t>& devices) {
    VFB_TRY(std::string name, cgroup_of(root, container.pid));
    // Some runtimes make one within the container's, which has its id in its name. Beyond are
    // others'.
    for (;;) {
        VFB_TRY(const UniqueFd cgroup,
                root.sys().open_file("fs/cgroup/" + name, O_RDONLY | O_DIRECTORY));
        VFB_TRY(const auto attached, query(cgroup.get(), name));
        for (const std::uint32_t id : attached.ids)
            VFB_CHECK(replace(cgroup.get(), name, attached, id, devices));
        const auto slash = name.rfind('/');
        if (!attached.ids.empty() || slash == std::string::npos) return {};
        name.erase(slash);
        if (!name.contains(container.id)) return {};
    }
}

}  // namespace vfb::cdi
