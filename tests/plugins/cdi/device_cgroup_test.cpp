// SPDX-License-Identifier: GPL-2.0-or-later
#include "device_cgroup.hpp"

#include <gmock/gmock.h>
#include <sys/sysmacros.h>

namespace vfb::cdi {
namespace {

// Deny all: r0 = 0; exit.
const std::vector<bpf_insn> kDeny{
    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 0},
    {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};

// As much of a BPF machine as the program needs: the kernel's runs on the emulated machine.
std::int64_t run(const std::vector<bpf_insn>& program, const bpf_cgroup_dev_ctx& context) {
    std::uint64_t r0 = 99;
    std::uint64_t r2 = 0;
    for (std::size_t at = 0; at < program.size(); ++at) {
        const bpf_insn& i = program[at];
        std::uint64_t& target = i.dst_reg == BPF_REG_0 ? r0 : r2;
        switch (i.code) {
            case BPF_LDX | BPF_MEM | BPF_W:
                target = i.off == 0   ? context.access_type
                         : i.off == 4 ? context.major
                                      : context.minor;
                break;
            case BPF_ALU | BPF_AND | BPF_K:
                target = static_cast<std::uint32_t>(target) & static_cast<std::uint32_t>(i.imm);
                break;
            case BPF_ALU64 | BPF_MOV | BPF_K:
                target = static_cast<std::uint64_t>(i.imm);
                break;
            case BPF_JMP32 | BPF_JNE | BPF_K:
                if (static_cast<std::uint32_t>(target) != static_cast<std::uint32_t>(i.imm))
                    at += static_cast<std::size_t>(i.off);
                break;
            case BPF_JMP | BPF_EXIT:
                return static_cast<std::int64_t>(r0);
            default:
                ADD_FAILURE() << "instruction " << int{i.code};
                return -1;
        }
    }
    ADD_FAILURE() << "no exit";
    return -1;
}

bpf_cgroup_dev_ctx asking(std::uint32_t kind, std::uint32_t what, std::uint32_t major_number,
                          std::uint32_t minor_number) {
    return {.access_type = what << 16 | kind, .major = major_number, .minor = minor_number};
}

TEST(AllowFirst, AllowsTheseAndAsksTheOldProgramForTheRest) {
    const auto program = allow_first({makedev(511, 3), makedev(10, 196)}, kDeny);
    constexpr std::uint32_t kReadWrite = BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE;
    EXPECT_EQ(run(program, asking(BPF_DEVCG_DEV_CHAR, kReadWrite, 511, 3)), 1);
    EXPECT_EQ(run(program, asking(BPF_DEVCG_DEV_CHAR, BPF_DEVCG_ACC_READ, 10, 196)), 1);
    EXPECT_EQ(run(program, asking(BPF_DEVCG_DEV_CHAR, kReadWrite, 511, 4)), 0);
    EXPECT_EQ(run(program, asking(BPF_DEVCG_DEV_CHAR, kReadWrite, 10, 3)), 0);
    EXPECT_EQ(run(program, asking(BPF_DEVCG_DEV_BLOCK, kReadWrite, 511, 3)), 0);
    EXPECT_EQ(run(program, asking(BPF_DEVCG_DEV_CHAR, BPF_DEVCG_ACC_MKNOD, 511, 3)), 0);
}

TEST(AllowFirst, LeavesTheOldProgramAsItIs) {
    const auto program = allow_first({}, kDeny);
    ASSERT_EQ(program.size(), kDeny.size());
    EXPECT_EQ(run(program, asking(BPF_DEVCG_DEV_CHAR, BPF_DEVCG_ACC_READ, 1, 3)), 0);
}

}  // namespace
}  // namespace vfb::cdi
