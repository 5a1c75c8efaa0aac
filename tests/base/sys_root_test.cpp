// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/sys_root.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <limits>

namespace vfb {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class Tree : public testing::Test {
protected:
    void SetUp() override {
        path = fs::temp_directory_path() / "vfbroker-XXXXXX";
        ASSERT_NE(::mkdtemp(path.data()), nullptr);
        for (const char* folder : {"/sys", "/dev", "/proc"}) fs::create_directory(path + folder);
    }
    void TearDown() override { fs::remove_all(path); }

    void put(const std::string& name, const std::string& text) const {
        fs::create_directories(fs::path(path + "/sys/" + name).parent_path());
        std::ofstream(path + "/sys/" + name, std::ios::binary) << text;
    }
    [[nodiscard]] SysRoot root() const { return SysRoot::at(path).value(); }

    std::string path;
};

TEST(Number, IsWholeDecimalOrHexadecimal) {
    EXPECT_EQ(parse_number("0"), 0);
    EXPECT_EQ(parse_number("42"), 42);
    EXPECT_EQ(parse_number("-1"), -1);
    EXPECT_EQ(parse_number("0x8086"), 0x8086);
    EXPECT_EQ(parse_number("0XfF"), 0xff);
    EXPECT_EQ(parse_number("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
    for (const char* text :
         {"", " ", "-", "--1", "+1", "1 ", " 1", "0x", "0x-1", "-0x-1", "1x", "0b1", "1.0", "1\n",
          "9223372036854775808", "0x10000000000000000", "ff", "node0"})
        EXPECT_FALSE(parse_number(text)) << text;
    EXPECT_FALSE(parse_number(std::string_view("1\0", 2)));
}

TEST_F(Tree, ReadsAttributes) {
    put("a/vendor", "0x8086\n");
    put("a/empty", "");
    put("a/lines", "one\ntwo\n");
    const auto sys = root();
    EXPECT_EQ(sys.sys().read("a/vendor").value(), "0x8086");
    EXPECT_EQ(sys.sys().read("a/empty").value(), "");
    EXPECT_EQ(sys.sys().read("a/lines").value(), "one\ntwo");
    EXPECT_EQ(sys.sys().read_number("a/vendor").value(), 0x8086U);
    EXPECT_FALSE(sys.sys().read_number("a/empty"));
    EXPECT_EQ(sys.sys().read_number("a/lines").error().code, Code::invalid);
}

TEST_F(Tree, ReadsLongAttributesAndRefusesEndlessOnes) {
    for (const std::size_t size : {511U, 512U, 513U, 1024U, 65536U}) {
        put("long", std::string(size, 'x'));
        EXPECT_EQ(root().sys().read("long").value().size(), size);
    }
    put("long", std::string(70000, 'x'));
    EXPECT_EQ(root().sys().read("long").error().code, Code::invalid);
}

TEST_F(Tree, TellsAbsentFromUnreadable) {
    put("a/number", "-3\n");
    put("a/garbage", "x\n");
    fs::create_directory(path + "/sys/a/folder");
    const auto sys = root();
    EXPECT_EQ(sys.sys().read_optional("a/none").value(), std::nullopt);
    EXPECT_EQ(sys.sys().read_optional("none/none").value(), std::nullopt);
    EXPECT_EQ(sys.sys().read_optional("a/folder").error().errnum, EISDIR);
    EXPECT_EQ(sys.sys().read_number_optional("a/none").value(), std::nullopt);
    EXPECT_EQ(sys.sys().read_number_optional("a/number").value(), -3);
    EXPECT_FALSE(sys.sys().read_number_optional("a/garbage"));
    EXPECT_FALSE(sys.sys().read_number("a/number"));  // no number below zero here
    const auto error = sys.sys().read("a/none").error();
    EXPECT_EQ(error.code, Code::not_found);
    EXPECT_EQ(error.message(), "cannot open " + path + "/sys/a/none: No such file or directory");
}

TEST_F(Tree, WritesOneValueWhole) {
    put("driver_override", "");
    const auto sys = root();
    ASSERT_TRUE(sys.sys().write("driver_override", "vfio-pci"));
    EXPECT_EQ(sys.sys().read("driver_override").value(), "vfio-pci");
    EXPECT_TRUE(sys.sys().write("driver_override", "\n"));
    for (const auto& value : {std::string("a\nb"), std::string("a\n"), std::string("a\0b", 3),
                              std::string("\t"), std::string("\x7f"), std::string("\n\n")})
        EXPECT_EQ(sys.sys().write("driver_override", value).error().code, Code::invalid);
    EXPECT_EQ(sys.sys().write("none", "1").error().errnum, ENOENT);
    EXPECT_FALSE(fs::exists(path + "/sys/none"));  // nothing is ever created
}

TEST_F(Tree, SaysWhatItCouldNotWriteAndWhere) {
    const auto full = SysRoot::host().value().dev().write("full", "7").error();
    EXPECT_EQ(full.message(), "cannot write '7' to /dev/full: No space left on device");
    EXPECT_EQ(full.code, Code::exhausted);
}

TEST_F(Tree, FollowsLinksByName) {
    put("bus/drivers/igb/bind", "");
    fs::create_symlink("bus/drivers/igb", path + "/sys/driver");
    fs::create_symlink("nowhere/none", path + "/sys/dangling");
    put("file", "");
    const auto sys = root();
    EXPECT_EQ(sys.sys().read_link("driver").value(), "bus/drivers/igb");
    EXPECT_EQ(sys.sys().link_name("driver").value(), "igb");
    EXPECT_EQ(sys.sys().link_name("dangling").value(), "none");
    EXPECT_EQ(sys.sys().link_name("none").value(), std::nullopt);
    EXPECT_FALSE(sys.sys().link_name("file"));
    EXPECT_TRUE(sys.sys().exists("dangling"));
    EXPECT_FALSE(sys.sys().exists("none"));
}

TEST_F(Tree, ListsSorted) {
    for (const char* name : {"b", "a", "c/d"}) put(std::string("l/") + name, "");
    const auto sys = root();
    EXPECT_THAT(sys.sys().list("l").value(), ElementsAre("a", "b", "c"));
    EXPECT_THAT(sys.sys().open_dir("l").value().list().value(), ElementsAre("a", "b", "c"));
    EXPECT_EQ(sys.sys().list("none").error().code, Code::not_found);
    EXPECT_EQ(sys.sys().open_dir("l").value().path("a"), path + "/sys/l/a");
    EXPECT_FALSE(sys.sys().open_dir("l/a"));
}

TEST_F(Tree, OpensForThisProcessOnly) {
    put("file", "");
    const auto fd = root().sys().open_file("file", O_RDONLY).value();
    EXPECT_NE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_NE(::fcntl(root().sys().fd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(Tree, GivesNodesAway) {
    put("node", "");
    const auto sys = root();
    const auto before = sys.sys().owner("node").value();
    EXPECT_EQ(before.uid, ::geteuid());
    const Dir::Owner wanted{.uid = before.uid, .gid = before.gid, .mode = 0600};
    ASSERT_TRUE(sys.sys().set_owner("node", wanted));
    EXPECT_EQ(sys.sys().owner("node").value(), wanted);
    EXPECT_EQ(sys.sys().owner("none").error().errnum, ENOENT);
    if (::geteuid() != 0) return;
    ASSERT_TRUE(sys.sys().set_owner("node", {.uid = 65534, .gid = 65534, .mode = 0660}));
    EXPECT_EQ(sys.sys().owner("node").value().uid, 65534U);
}

// A link in place of a node must not lead the change to another file.
TEST_F(Tree, DoesNotGiveAwayWhatALinkLeadsTo) {
    put("secret", "");
    ::chmod((path + "/sys/secret").c_str(), 0600);
    fs::create_symlink("secret", path + "/sys/node");
    const Dir::Owner wanted{.uid = ::geteuid(), .gid = ::getegid(), .mode = 0666};
    EXPECT_EQ(root().sys().set_owner("node", wanted).error().code, Code::invalid);
    EXPECT_EQ(root().sys().owner("secret").value().mode, 0600U);
}

TEST_F(Tree, KnowsWhichMachineItIs) {
    EXPECT_FALSE(root().is_host());
    const auto host = SysRoot::host().value();
    EXPECT_TRUE(host.is_host());
    EXPECT_EQ(host.sys().path("bus/pci"), "/sys/bus/pci");
    EXPECT_EQ(host.dev().path(), "/dev");
    EXPECT_EQ(SysRoot::at(path + "/none").error().code, Code::not_found);
}

TEST_F(Tree, FindsTheModulesOfItsKernel) {
    fs::create_directories(path + "/proc/sys/kernel");
    std::ofstream(path + "/proc/sys/kernel/osrelease") << "6.12.1\n";
    EXPECT_EQ(root().modules().error().code, Code::not_found);
    fs::create_directories(path + "/lib/modules/6.12.1");
    EXPECT_EQ(root().modules().value().path(), path + "/lib/modules/6.12.1");
}

}  // namespace
}  // namespace vfb
