// SPDX-License-Identifier: GPL-2.0-or-later
//
// A monitor of QEMU for tests: it listens on a real Unix socket, greets, and answers each command
// as the test says.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.hpp"
#include "proto/json.hpp"

namespace vfb::test {

struct Command {
    std::string name;
    proto::Json arguments;
    std::size_t descriptors = 0;  // that came with it
};

class FakeQemu {
public:
    // What to send after a command, as it is; `ID` in it becomes the command's id. Empty: hang up.
    using Handler = std::function<std::string(const Command&)>;

    // A handler that returns `{}` is there for qmp_capabilities already.
    explicit FakeQemu(Handler handler, std::string greeting = kGreeting);
    ~FakeQemu();
    FakeQemu(const FakeQemu&) = delete;
    FakeQemu& operator=(const FakeQemu&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }
    // Commands so far, without qmp_capabilities.
    [[nodiscard]] std::vector<Command> commands() const;
    [[nodiscard]] std::vector<std::string> names() const;

    static constexpr const char* kGreeting =
        R"({"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}}, )"
        R"("capabilities": ["oob"]}})"
        "\r\n";

private:
    void run();
    void serve(int peer);
    bool answer(int peer, const std::string& line, std::size_t descriptors);

    Handler handler_;
    std::string greeting_;
    std::string folder_;
    std::string path_;
    UniqueFd listener_;
    UniqueFd stop_;
    mutable std::mutex mutex_;
    std::vector<Command> commands_;
    std::thread thread_;
};

// `{"return": VALUE, "id": "ID"}`
std::string returns(const proto::Json& value);
std::string refuses(const std::string& error_class, const std::string& description);
std::string event(const std::string& name, const std::string& device);

}  // namespace vfb::test
