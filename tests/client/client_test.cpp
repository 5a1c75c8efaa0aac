// SPDX-License-Identifier: GPL-2.0-or-later
//
// Client: connecting, calling, and brokers that misbehave.
#include "client/client.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <thread>

#include "fake_broker.hpp"
#include "lease_events.hpp"
#include "lease_replies.hpp"

namespace vfb::client {
namespace {

using proto::Json;
using test::Answer;
using test::FakeBroker;

Result<Reply> call(const FakeBroker& broker,
                   std::optional<std::chrono::milliseconds> timeout = std::nullopt) {
    VFB_TRY(auto client, Client::connect(broker.path()));
    return client.call("Status", Json::object(), timeout);
}

TEST(Connect, NobodyThere) {
    const auto client = Client::connect("/nowhere/vfbroker.sock");
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().code, Code::not_running);
    EXPECT_EQ(client.error().message(),
              "cannot reach vfbrokerd at /nowhere/vfbroker.sock: No such file or directory");
    EXPECT_FALSE(client.error().hint.empty());
}

TEST(Connect, PathsThatFitNoSocket) {
    for (const std::string& path : {std::string(), std::string(200, 'x')}) {
        const auto client = Client::connect(path);
        ASSERT_FALSE(client);
        EXPECT_EQ(client.error().code, Code::invalid);
    }
}

TEST(Call, SendsMethodAndParametersAndReturnsTheReply) {
    FakeBroker broker([](const proto::Call& received) {
        return Answer{.body = proto::make_reply({{"echo", received.parameters}}),
                      .descriptors = {}};
    });
    auto client = Client::connect(broker.path());
    ASSERT_TRUE(client);
    for (int i = 0; i < 3; ++i) {
        const auto reply = client->call("Show", {{"function", i}});
        ASSERT_TRUE(reply);
        EXPECT_EQ(reply->parameters["echo"]["function"], i);
    }
    EXPECT_EQ(broker.calls().at(0).method, "io.vfbroker.Show");
    ASSERT_TRUE(client->call("org.varlink.service.GetInfo", Json::object()));
    EXPECT_EQ(broker.calls().at(3).method, "org.varlink.service.GetInfo");
}

// Until something has come.
Result<std::optional<Reply>> answer(Client& client) {
    for (;;) {
        auto reply = client.advance();
        if (!reply || *reply) return reply;
        if (!test::readable(client.fd())) return fail(Code::timeout, "wait", {}, {});
    }
}

TEST(Start, TheReplyComesLaterAndNothingElseMeanwhile) {
    FakeBroker broker([](const proto::Call& received) {
        return Answer{.body = received.method == "io.vfbroker.Lease"
                                  ? Json()
                                  : proto::make_reply(Json::object()),
                      .descriptors = {}};
    });
    auto client = Client::connect(broker.path());
    ASSERT_TRUE(client);
    ASSERT_TRUE(client->start("Lease", Json::object()));
    const auto nothing = client->advance();
    ASSERT_TRUE(nothing);
    EXPECT_FALSE(*nothing);
    const auto other = client->call("Status", Json::object());
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code, Code::busy);
    EXPECT_EQ(other.error().message(),
              "cannot call io.vfbroker.Status: io.vfbroker.Lease is under way on this connection");
    broker.wait_for_calls(1);
    broker.say("io.vfbroker.Lease", proto::make_reply({{"value", 5}}));
    const auto reply = answer(*client);
    ASSERT_TRUE(reply);
    EXPECT_EQ((*reply)->parameters["value"], 5);
    EXPECT_TRUE(client->call("Status", Json::object()));
}

TEST(Start, ARefusalLeavesTheConnection) {
    FakeBroker broker([](const proto::Call&) { return test::refusal(); });
    auto client = Client::connect_now(broker.path());
    ASSERT_TRUE(client);
    for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE(client->start("Lease", Json::object()));
        const auto reply = answer(*client);
        ASSERT_FALSE(reply);
        EXPECT_EQ(reply.error().code, Code::busy);
        EXPECT_FALSE(client->hung_up());
    }
}

TEST(Start, AnswersThatNobodyAskedForEndIt) {
    FakeBroker broker([](const proto::Call&) { return test::refusal(); });
    auto client = Client::connect(broker.path());
    ASSERT_TRUE(client);
    ASSERT_FALSE(client->call("Lease", Json::object()));
    broker.say("io.vfbroker.Lease", proto::make_reply(Json::object()));
    const auto reply = answer(*client);
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, Code::protocol);
    EXPECT_TRUE(client->hung_up());
}

TEST(Call, LongRepliesAndDescriptors) {
    FakeBroker broker([](const proto::Call&) {
        Answer answer{.body = proto::make_reply({{"text", std::string(3 << 20, 'x')}}),
                      .descriptors = {}};
        answer.descriptors.push_back(test::some_descriptor());
        return answer;
    });
    const auto reply = call(broker);
    ASSERT_TRUE(reply) << reply.error().message();
    EXPECT_EQ(reply->parameters["text"].get_ref<const std::string&>().size(), 3u << 20);
    EXPECT_EQ(reply->descriptors.size(), 1u);
}

TEST(CallText, GivesTheParametersAsTheyCame) {
    FakeBroker broker([](const proto::Call& received) {
        if (received.method.ends_with("Reload")) return test::refusal();
        return Answer{.body = proto::make_reply({{"list", {1, 2}}}), .descriptors = {}};
    });
    auto client = Client::connect(broker.path());
    ASSERT_TRUE(client);
    const auto text = client->call_text("List", {{"managed", true}});
    ASSERT_TRUE(text);
    EXPECT_EQ(*text, R"({"list":[1,2]})");
    const auto refused = client->call_text("Reload", Json::object());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::busy);
}

TEST(Call, RefusalsComeUnchanged) {
    FakeBroker broker([](const proto::Call&) { return test::refusal(); });
    const auto reply = call(broker);
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, Code::busy);
    EXPECT_EQ(reply.error().message(), "cannot lease from net: all 7 functions are leased");
    EXPECT_EQ(reply.error().hint, "vfbroker leases");
}

TEST(Call, StandardErrors) {
    std::string name = "org.varlink.service.MethodNotFound";
    FakeBroker broker([&name](const proto::Call&) {
        return Answer{.body = proto::make_error(name, {{"parameter", "x"}}), .descriptors = {}};
    });
    EXPECT_EQ(call(broker).error().code, Code::unsupported);
    name = "org.varlink.service.InvalidParameter";
    EXPECT_EQ(call(broker).error().code, Code::invalid);
    name = "com.example.Odd";
    EXPECT_EQ(call(broker).error().code, Code::failed);
    EXPECT_EQ(call(broker).error().message(),
              "cannot call io.vfbroker.Status: vfbrokerd answered com.example.Odd");
}

TEST(Call, ABrokerThatHangsUpIsLost) {
    FakeBroker broker([](const proto::Call&) {
        return Answer{.body = nullptr, .descriptors = {}, .hang_up = true};
    });
    auto client = Client::connect(broker.path());
    ASSERT_TRUE(client);
    for (int i = 0; i < 2; ++i) {
        const auto reply = client->call("Status", Json::object());
        ASSERT_FALSE(reply);
        EXPECT_EQ(reply.error().code, Code::lost);
        EXPECT_EQ(reply.error().message(),
                  "cannot call io.vfbroker.Status: vfbrokerd closed the connection");
    }
}

TEST(Call, ATimeoutHangsUp) {
    FakeBroker broker(
        [](const proto::Call&) { return Answer{.body = nullptr, .descriptors = {}}; });
    auto client = Client::connect(broker.path());
    ASSERT_TRUE(client);
    EXPECT_EQ(broker.connections(1), 1u);
    const auto reply = client->call("Status", Json::object(), std::chrono::milliseconds(20));
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, Code::timeout);
    EXPECT_EQ(broker.connections(0), 0u);
    EXPECT_EQ(client->call("Status", Json::object()).error().code, Code::lost);
}

// Answers the first call of the first connection with `text`, in one piece.
void answer_once(int listener, std::string_view text) {
    const UniqueFd socket(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    char byte = 1;
    while (byte != 0 && ::read(socket.get(), &byte, 1) == 1) {
    }
    EXPECT_EQ(::write(socket.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

TEST(CallMore, PartsAndTheReplyMayComeInOnePiece) {
    using namespace std::string_view_literals;
    const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = testing::TempDir() + "one-piece.sock";
    std::remove(path.c_str());
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
              0);
    ASSERT_EQ(::listen(listener.get(), 1), 0);
    std::thread server([&] {
        answer_once(listener.get(),
                    "{\"parameters\":{\"done\":1},\"continues\":true}\0"
                    "{\"parameters\":{\"done\":2},\"continues\":true}\0"
                    "{\"parameters\":{\"left\":3}}\0"sv);
    });
    auto client = Client::connect(path);
    ASSERT_TRUE(client);
    std::vector<int> done;
    const auto reply = client->call_more("Apply", Json::object(), [&](const Json& part) {
        done.push_back(part.at("done").get<int>());
    });
    server.join();
    ASSERT_TRUE(reply) << reply.error().message();
    EXPECT_EQ(done, (std::vector{1, 2}));
    EXPECT_EQ(reply->parameters, Json({{"left", 3}}));
}

TEST(Call, RepliesThatAreNone) {
    for (const Json& body : {Json(R"(text)"), Json::array()}) {
        FakeBroker broker(
            [&body](const proto::Call&) { return Answer{.body = body, .descriptors = {}}; });
        const auto reply = call(broker);
        ASSERT_FALSE(reply);
        EXPECT_EQ(reply.error().code, Code::protocol);
    }
}

}  // namespace
}  // namespace vfb::client
