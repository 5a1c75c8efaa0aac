// SPDX-License-Identifier: GPL-2.0-or-later
#include "formats.hpp"

#include <gmock/gmock.h>

namespace vfb::cli {
namespace {

using ::testing::ElementsAre;
using Words = std::vector<std::string>;

// A lease of functions at 0000:01:10.N; descriptors are numbers, never open.
class Leases {
public:
    ~Leases() {
        for (auto& lease : leases) {
            static_cast<void>(lease.context.release());
            for (auto& function : lease.functions) static_cast<void>(function.descriptor.release());
        }
    }
    Leases& add(const char* backend, int context, const std::vector<int>& devices) {
        client::Lease lease;
        lease.backend = backend;
        lease.context = UniqueFd(context);
        for (const int device : devices) {
            client::LeasedFunction function;
            function.address = "0000:01:10." + std::to_string(functions_++);
            function.descriptor = UniqueFd(device);
            lease.functions.push_back(std::move(function));
        }
        leases.push_back(std::move(lease));
        return *this;
    }
    std::vector<client::Lease> leases;

private:
    int functions_ = 0;
};

TEST(Formats, LibvirtHostdev) {
    Leases leases;
    leases.add("group", -1, {-1});
    EXPECT_EQ(libvirt_hostdevs(leases.leases),
              "<hostdev mode='subsystem' type='pci' managed='no'>\n"
              "  <source>\n"
              "    <address domain='0x0000' bus='0x01' slot='0x10' function='0x0'/>\n"
              "  </source>\n"
              "</hostdev>\n");
}

TEST(Formats, QemuIommufd) {
    Leases all;
    all.add("iommufd", 901, {902, 903}).add("iommufd", 904, {905});
    EXPECT_THAT(device_words(Format::qemu, all.leases, {"bootindex=1"}),
                ElementsAre("-object", "iommufd,id=vfbroker0,fd=901",  //
                            "-device", "vfio-pci,id=vf0,iommufd=vfbroker0,fd=902,bootindex=1",
                            "-device", "vfio-pci,id=vf1,iommufd=vfbroker0,fd=903,bootindex=1",
                            "-object", "iommufd,id=vfbroker1,fd=904",  //
                            "-device", "vfio-pci,id=vf2,iommufd=vfbroker1,fd=905,bootindex=1"));
}

TEST(Formats, QemuGroupAndBothTogether) {
    Leases all;
    all.add("group", -1, {-1}).add("iommufd", 901, {902});
    EXPECT_THAT(device_words(Format::qemu, all.leases, {}),
                ElementsAre("-device", "vfio-pci,id=vf0,host=0000:01:10.0",  //
                            "-object", "iommufd,id=vfbroker0,fd=901",        //
                            "-device", "vfio-pci,id=vf1,iommufd=vfbroker0,fd=902"));
}

TEST(Formats, Dpdk) {
    Leases all;
    all.add("group", -1, {-1, -1});
    EXPECT_THAT(device_words(Format::dpdk, all.leases, {"a=1", "b=2"}),
                ElementsAre("-a", "0000:01:10.0,a=1,b=2", "-a", "0000:01:10.1,a=1,b=2"));
}

TEST(Formats, ByProgramName) {
    EXPECT_EQ(format_for("dpdk-testpmd"), Format::dpdk);
    EXPECT_EQ(format_for("/usr/bin/dpdk-l3fwd"), Format::dpdk);
    EXPECT_EQ(format_for("qemu-system-x86_64"), Format::qemu);
    EXPECT_EQ(format_for("/opt/dpdk-tools/qemu"), Format::qemu);
}

TEST(Formats, FillIn) {
    const auto filled = fill_in({"a", "{}", "b"}, {"x", "y"});
    ASSERT_TRUE(filled);
    EXPECT_EQ(*filled, (Words{"a", "x", "y", "b"}));
    EXPECT_EQ(fill_in({"a", "x{}"}, {}).error().code, Code::invalid);
    EXPECT_EQ(fill_in({"a", "{}", "{}"}, {}).error().code, Code::invalid);
    EXPECT_EQ(fill_in({}, {}).error().code, Code::invalid);
}

TEST(Formats, DeviceOptions) {
    EXPECT_TRUE(check_device_option("x-no-mmap=on"));
    EXPECT_TRUE(check_device_option("a="));
    for (const char* bad : {"", "a", "=a", "id=x", "host=x", "fd=1", "iommufd=x", "sysfsdev=x"})
        EXPECT_FALSE(check_device_option(bad)) << bad;
}

TEST(Formats, ShellLine) {
    EXPECT_EQ(shell_line({"-device", "a,b=c", "it's", ""}), R"(-device a,b=c 'it'\''s' '')");
}

}  // namespace
}  // namespace vfb::cli
