// SPDX-License-Identifier: LGPL-2.1-or-later
#include "client/functions.hpp"

namespace vfb::client {
namespace {

using proto::Scanner;

void read(Scanner& scanner, std::string& value) {
    if (!scanner.null()) value = scanner.string();
}

void read(Scanner& scanner, std::optional<std::int64_t>& value) {
    if (!scanner.null()) value = scanner.number();
}

void read_joined(Scanner& scanner, std::string& value) {
    if (scanner.null()) return;
    scanner.array([&] {
        if (!value.empty()) value += ',';
        value += scanner.string();
    });
}

FunctionSummary read_function(Scanner& scanner) {
    FunctionSummary out;
    scanner.object([&](std::string_view key) {
        if (key == "address") return read(scanner, out.address);
        if (key == "ids") return read(scanner, out.ids);
        if (key == "class") return read(scanner, out.device_class);
        if (key == "name") return read(scanner, out.name);
        if (key == "driver") return read(scanner, out.driver);
        if (key == "netdevs") return read_joined(scanner, out.netdevs);
        if (key == "group") return read(scanner, out.group);
        if (key == "numaNode") return read(scanner, out.numa_node);
        if (key == "vfs") return read(scanner, out.vfs);
        if (key == "totalVfs") return read(scanner, out.total_vfs);
        if (key == "physicalFunction") return read(scanner, out.physical_function);
        if (key == "index") return read(scanner, out.index);
        if (key == "pool") return read(scanner, out.pool);
        if (key == "state") return read(scanner, out.state);
        if (key == "lease") return read(scanner, out.lease);
        scanner.skip();
    });
    return out;
}

// Absent when there is no list: an answer without one is no empty list.
std::optional<FunctionList> read_all(Scanner& scanner) {
    std::optional<FunctionList> functions;
    scanner.object([&](std::string_view key) {
        if (key != "functions") {
            scanner.skip();
            return;
        }
        functions.emplace();
        scanner.array([&] { functions->push_back(read_function(scanner)); });
    });
    return functions;
}

std::unexpected<Error> no_list() {
    return fail(Code::protocol, "read vfbrokerd's answer", {}, "it is no list of functions",
                "vfbrokerd and its clients may differ in version");
}

}  // namespace

Result<FunctionList> list(Client& client, bool managed) {
    std::optional<FunctionList> functions;
    VFB_CHECK(client.call_and_scan("List", {{"managed", managed}},
                                   [&](Scanner& scanner) { functions = read_all(scanner); }));
    if (!functions) return no_list();
    return std::move(*functions);
}

Result<FunctionList> read_functions(std::string_view parameters) {
    Scanner scanner(parameters);
    auto functions = read_all(scanner);
    if (!functions || !scanner.ok()) return no_list();
    return std::move(*functions);
}

}  // namespace vfb::client
