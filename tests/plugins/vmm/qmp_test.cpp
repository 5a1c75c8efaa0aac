// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/qmp.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include "fake_qemu.hpp"
#include "qmp_text.hpp"

namespace vfb::test {
namespace {

using namespace std::chrono_literals;
using proto::Json;
using vmm::Monitor;

constexpr auto kTimeout = 10s;

Monitor connect(const FakeQemu& qemu) {
    auto monitor = Monitor::connect(qemu.path(), kTimeout);
    EXPECT_TRUE(monitor) << monitor.error().message();
    return std::move(*monitor);
}

TEST(Splitter, ObjectsOverAnyBytes) {
    const std::string stream =
        "{\"a\": \"}{\\\"\\\\\"}\r\n{\n  \"b\": {\n    \"c\": [{}]\n  }\n}\n junk {\"d\"";
    vmm::MessageSplitter splitter;
    std::vector<std::string> objects;
    for (const char byte : stream) {
        splitter.feed({&byte, 1});
        while (const auto object = splitter.next()) objects.push_back(*object);
    }
    ASSERT_EQ(objects.size(), 2u);
    EXPECT_EQ(Json::parse(objects[0])["a"], "}{\"\\");
    EXPECT_EQ(Json::parse(objects[1]).dump(), R"({"b":{"c":[{}]}})");
    EXPECT_EQ(splitter.pending(), 4u);
}

TEST(Monitor, KnowsWhoAnswers) {
    FakeQemu qemu([](const Command&) { return returns("x"); });
    EXPECT_EQ(connect(qemu).process().pid, ::getpid());
}

TEST(Monitor, PassesDescriptorsWithTheirCommandOnly) {
    FakeQemu qemu([](const Command&) { return returns(Json::object()); });
    auto monitor = connect(qemu);
    const UniqueFd fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
    EXPECT_TRUE(monitor.execute("getfd", {{"fdname", "a"}}, kTimeout, fd.get()));
    EXPECT_TRUE(monitor.execute("query-status", Json::object(), kTimeout));
    const auto commands = qemu.commands();
    ASSERT_EQ(commands.size(), 2u);
    EXPECT_EQ(commands[0].arguments.dump(), R"({"fdname":"a"})");
    EXPECT_EQ(commands[0].descriptors, 1u);
    EXPECT_EQ(commands[1].descriptors, 0u);
}

TEST(Monitor, EventsBetweenCommandAndReplyAreKept) {
    FakeQemu qemu([](const Command& command) {
        if (command.name != "device_del") return returns(1);
        return event("RESUME", "") + event("DEVICE_DELETED", "vf0") + returns(Json::object());
    });
    auto monitor = connect(qemu);
    EXPECT_TRUE(monitor.execute("device_del", {{"id", "vf0"}}, kTimeout));
    EXPECT_TRUE(monitor.execute("query-status", Json::object(), kTimeout));
    const auto deleted = monitor.wait_for_event(
        [](const Json& one) { return one["event"] == "DEVICE_DELETED"; }, Deadline(kTimeout));
    ASSERT_TRUE(deleted);
    EXPECT_EQ((*deleted)["data"]["device"], "vf0");
}

TEST(Monitor, RepliesToOthersAreNotOurs) {
    FakeQemu qemu([](const Command&) {
        return R"({"return": "late", "id": "another"})"
               "\n" +
               returns("ours");
    });
    EXPECT_EQ(*connect(qemu).execute("query-name", Json::object(), kTimeout), "ours");
}

TEST(Monitor, ErrorsOfOthersAreNotOurs) {
    FakeQemu qemu([](const Command&) {
        return R"({"error": {"class": "GenericError", "desc": "late"}, "id": "another"})"
               "\n" +
               returns("ours");
    });
    const auto said = connect(qemu).execute("query-name", Json::object(), kTimeout);
    ASSERT_TRUE(said) << said.error().message();
    EXPECT_EQ(*said, "ours");
}

TEST(Monitor, ErrorsOfTheParserAreOurs) {
    FakeQemu qemu([](const Command&) {
        return std::string(R"({"error": {"class": "GenericError", "desc": "JSON parse error"}})"
                           "\n");
    });
    const auto said = connect(qemu).execute("query-name", Json::object(), kTimeout);
    ASSERT_FALSE(said);
    EXPECT_THAT(said.error().message(), ::testing::HasSubstr("JSON parse error"));
}

TEST(Monitor, ErrorsAreQemusOwnText) {
    FakeQemu qemu([](const Command& command) {
        return command.name == "device_del"
                   ? refuses("DeviceNotFound", "Device 'x' not found")
                   : refuses("GenericError", "vfio 0000:01:10.0: \xc3\xa4");
    });
    auto monitor = connect(qemu);
    const auto gone = monitor.execute("device_del", {{"id", "x"}}, kTimeout);
    EXPECT_EQ(gone.error().code, Code::not_found);
    EXPECT_EQ(gone.error().message(),
              "cannot run device_del in QEMU: QEMU says: Device 'x' not found");
    EXPECT_EQ(monitor.execute("device_add", {{"id", "x"}}, kTimeout).error().message(),
              "cannot run device_add in QEMU: QEMU says: vfio 0000:01:10.0: \xc3\xa4");
}

TEST(Monitor, EndOfQemuInTheMiddleOfAMessage) {
    int calls = 0;
    FakeQemu qemu([&calls](const Command&) {
        return ++calls == 1 ? std::string(R"({"return": {"a")") : std::string();
    });
    auto monitor = connect(qemu);
    // The first is never completed, and to the second QEMU hangs up.
    EXPECT_EQ(monitor.execute("a", Json::object(), 100ms).error().code, Code::timeout);
    const auto lost = monitor.execute("b", Json::object(), kTimeout);
    EXPECT_EQ(lost.error().code, Code::lost);
    EXPECT_THAT(lost.error().message(),
                ::testing::HasSubstr("QEMU has ended or closed the connection"));
}

TEST(Monitor, NoAnswerInTime) {
    FakeQemu qemu([](const Command&) { return std::string("\n"); });
    const auto late = connect(qemu).execute("device_add", Json::object(), 50ms);
    EXPECT_EQ(late.error().code, Code::timeout);
    EXPECT_EQ(late.error().operation, "run device_add in QEMU");
}

TEST(Monitor, WhatIsNoMonitorIsSaid) {
    const auto none = Monitor::connect("/nowhere/qmp", kTimeout);
    EXPECT_EQ(none.error().hint,
              "does QEMU run, with this socket? -qmp unix:/nowhere/qmp,server=on,wait=off");
    FakeQemu other([](const Command&) { return std::string(); }, "{\"hello\": 1}\n");
    EXPECT_EQ(Monitor::connect(other.path(), kTimeout).error().code, Code::protocol);
    FakeQemu silent([](const Command&) { return std::string(); }, "");
    const auto busy = Monitor::connect(silent.path(), 50ms);
    EXPECT_EQ(busy.error().code, Code::timeout);
    EXPECT_THAT(busy.error().reason, ::testing::HasSubstr("one client of a monitor at a time"));
}

}  // namespace
}  // namespace vfb::test
