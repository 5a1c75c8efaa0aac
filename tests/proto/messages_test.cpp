// SPDX-License-Identifier: GPL-2.0-or-later
//
// Calls, replies and errors.
#include <gtest/gtest.h>

#include <cerrno>

#include "proto/connection.hpp"

namespace vfb::proto {
namespace {

TEST(Call, MissingNullAndEmptyParametersAreTheSame) {
    for (const char* text :
         {R"({"method":"io.vfbroker.List"})", R"({"method":"io.vfbroker.List","parameters":null})",
          R"({"method":"io.vfbroker.List","parameters":{},"more":null})"}) {
        const auto call = parse_call(Json::parse(text));
        ASSERT_TRUE(call) << text;
        EXPECT_EQ(call->method, "io.vfbroker.List");
        EXPECT_EQ(call->parameters, Json::object());
        EXPECT_FALSE(call->more);
        EXPECT_FALSE(call->oneway);
    }
}

TEST(Call, Flags) {
    const auto call = parse_call({{"method", "a.b"}, {"oneway", true}});
    ASSERT_TRUE(call);
    EXPECT_TRUE(call->oneway);
}

TEST(Call, MalformedOnesBreakTheProtocol) {
    for (const char* text :
         {"[]", "{}", R"({"method":1})", R"({"method":"List"})", R"({"method":""})",
          R"({"method":"a.b","parameters":[]})", R"({"method":"a.b","parameters":"x"})",
          R"({"method":"a.b","more":1})", R"({"method":"a.b","more":true,"oneway":true})",
          R"({"method":"a.b","upgrade":true})"}) {
        const auto call = parse_call(Json::parse(text));
        ASSERT_FALSE(call) << text;
        EXPECT_EQ(call.error().code, Code::protocol);
    }
}

TEST(Reply, Text) {
    EXPECT_EQ(make_reply({{"a", 1}}).dump(), R"({"parameters":{"a":1}})");
    EXPECT_EQ(make_reply(Json::object(), true).dump(), R"({"parameters":{},"continues":true})");
    EXPECT_EQ(make_error("io.vfbroker.Failed", {{"code", "busy"}}).dump(),
              R"({"error":"io.vfbroker.Failed","parameters":{"code":"busy"}})");
}

Error example() {
    return {.code = Code::busy,
            .errnum = EBUSY,
            .operation = "bind 0000:01:10.0 to vfio-pci",
            .subject = "0000:01:10.0",
            .reason = "write to driver_override",
            .hint = "vfbroker show 0000:01:10.0",
            .cause = nullptr};
}

TEST(ErrorJson, Members) {
    EXPECT_EQ(to_json(example()).dump(),
              R"({"code":"busy","errno":16,"operation":"bind 0000:01:10.0 to vfio-pci",)"
              R"("subject":"0000:01:10.0","message":"cannot bind 0000:01:10.0 to vfio-pci: )"
              R"(write to driver_override: Device or resource busy",)"
              R"("hint":"vfbroker show 0000:01:10.0"})");
}

TEST(ErrorJson, RoundTripKeepsEverything) {
    Error no_reason = example();
    no_reason.reason.clear();
    Error no_errno = example();
    no_errno.errnum = 0;
    Error no_operation = example();
    no_operation.operation.clear();
    for (const auto& error : {example(), no_reason, no_errno, no_operation}) {
        const auto back = error_from_json(to_json(error));
        EXPECT_EQ(to_json(back), to_json(error));
        EXPECT_EQ(back.reason, error.reason);
        EXPECT_EQ(back.code, error.code);
    }
}

TEST(ErrorJson, MessageAndHintSurviveCauses) {
    const auto outer = example().because(example());
    const auto back = error_from_json(to_json(outer));
    EXPECT_EQ(back.message(), outer.message());
    EXPECT_EQ(back.hint, outer.hint);
    EXPECT_EQ(back.operation, outer.operation);
}

TEST(ErrorJson, RubbishIsAnErrorStill) {
    for (const char* text : {"null", "[]", "{}", R"({"message":7,"code":[],"errno":"x"})",
                             R"({"errno":-1})", R"({"errno":18446744073709551615})"}) {
        const auto error = error_from_json(Json::parse(text));
        EXPECT_EQ(error.code, Code::failed) << text;
        EXPECT_EQ(error.message(), "the peer gave no reason") << text;
        EXPECT_EQ(error.errnum, 0) << text;
    }
}

TEST(Interface, IsTheDefinition) {
    const auto text = interface_description();
    EXPECT_NE(text.find("\ninterface io.vfbroker\n"), text.npos);
    EXPECT_NE(text.find("\nerror Failed ("), text.npos);
    EXPECT_TRUE(text.ends_with(")\n"));
}

}  // namespace
}  // namespace vfb::proto
