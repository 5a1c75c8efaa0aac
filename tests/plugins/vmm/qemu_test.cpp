// SPDX-License-Identifier: GPL-2.0-or-later
//
// Hot plug, command by command.
#include "vmm/qemu.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>

#include <set>

#include "fake_qemu.hpp"

namespace vfb::test {
namespace {

using namespace std::chrono_literals;
using proto::Json;
using ::testing::ElementsAre;
using vmm::Plugged;

// A QEMU of type q35 with two root ports, of which the first is taken.
class Guest {
public:
    std::string operator()(const Command& command) {
        const Json& arguments = command.arguments;
        const std::string& name = command.name;
        if (name == "qom-list") return returns(list(arguments["path"]));
        if (name == "qom-get") return returns(true);
        if (name == "query-pci") return returns(pci());
        if (name == "query-memory-size-summary")
            return returns({{"base-memory", 1 << 30}, {"plugged-memory", 1 << 20}});
        if (name == "device-list-properties")
            return returns({{{"name", "rombar"}, {"type", "uint32"}},
                            {{"name", "multifunction"}, {"type", "bool"}}});
        if (name == "object-add") objects.emplace(arguments["id"], arguments["qom-type"]);
        if (name == "device_add" && refuse_device) return refuses("GenericError", "no such thing");
        if (name == "device_add") devices.insert(arguments["id"].get<std::string>());
        if (name == "device_del") return remove(arguments["id"]);
        if (name == "object-del" && objects.erase(arguments["id"]) == 0)
            return refuses("GenericError", "object not found");
        if (name == "closefd") return refuses("GenericError", "descriptor not found");
        return returns(Json::object());
    }

    std::map<std::string, std::string> objects;
    std::set<std::string> devices;
    bool refuse_device = false;
    bool asleep = false;
    bool unwilling = false;
    bool guest_iommu = false;

private:
    std::string remove(const std::string& id) {
        if (!devices.contains(id)) return refuses("DeviceNotFound", "Device not found");
        if (asleep) return returns(Json::object());
        if (unwilling) return returns(Json::object()) + event("DEVICE_UNPLUG_GUEST_ERROR", id);
        devices.erase(id);
        return event("DEVICE_DELETED", "another") + event("DEVICE_DELETED", id) +
               returns(Json::object());
    }
    Json list(const std::string& path) const {
        Json found = {{{"name", "type"}, {"type", "string"}}};
        if (path == "/objects")
            for (const auto& [id, type] : objects)
                found.push_back({{"name", id}, {"type", "child<" + type + ">"}});
        if (path == "/machine/peripheral")
            for (const auto& id : devices)
                found.push_back({{"name", id}, {"type", "child<vfio-pci>"}});
        if (path == "/machine/peripheral-anon" && guest_iommu)
            found.push_back({{"name", "device[0]"}, {"type", "child<intel-iommu>"}});
        return found;
    }
    static Json pci() {
        const Json port = {{"vendor", 0x1b36}, {"device", 0x000c}};
        const Json nic = {{"qdev_id", "nic"}, {"id", {{"vendor", 1}, {"device", 2}}}};
        return Json{
            {{"bus", 0},
             {"devices",
              {{{"qdev_id", "rp1"},
                {"id", port},
                {"pci_bridge", {{"devices", Json::array({nic})}}}},
               {{"qdev_id", "rp2"}, {"id", port}, {"pci_bridge", {{"bus", Json::object()}}}},
               {{"qdev_id", ""}, {"id", port}}}}}};
    }
};

client::Lease lease_of(bool descriptors, std::size_t count = 1) {
    const auto null = [&] {
        return UniqueFd(descriptors ? ::open("/dev/null", O_RDWR | O_CLOEXEC) : -1);
    };
    client::Lease lease;
    lease.id = 12;
    lease.backend = descriptors ? "iommufd" : "group";
    lease.context = null();
    for (std::size_t i = 0; i < count; ++i)
        lease.functions.push_back({.address = "0000:01:10." + std::to_string(i),
                                   .generation = 1,
                                   .node = {},
                                   .netdev = {},
                                   .descriptor = null()});
    return lease;
}

class QemuHotPlug : public ::testing::Test {
protected:
    void SetUp() override {
        auto connected = vmm::Qemu::connect(qemu.path());
        ASSERT_TRUE(connected) << connected.error().message();
        vmm = std::move(*connected);
    }
    // Of the commands of that name, the arguments.
    std::vector<std::string> arguments(const std::string& name) const {
        std::vector<std::string> found;
        for (const auto& command : qemu.commands())
            if (command.name == name) found.push_back(command.arguments.dump());
        return found;
    }

    Guest guest;
    FakeQemu qemu{[this](const Command& command) { return guest(command); }};
    std::unique_ptr<vmm::Vmm> vmm;
};

TEST_F(QemuHotPlug, Descriptors) {
    ASSERT_TRUE(vmm->plug(lease_of(true), {"rombar=0", "multifunction=on", "x=y"}));
    EXPECT_THAT(qemu.names(),
                ElementsAre("device-list-properties", "query-pci", "qom-get", "qom-list", "getfd",
                            "object-add", "getfd", "device_add"));
    EXPECT_THAT(arguments("getfd"),
                ElementsAre(R"({"fdname":"vfbroker12"})", R"({"fdname":"vfbroker12-0"})"));
    EXPECT_THAT(arguments("object-add"),
                ElementsAre(R"({"qom-type":"iommufd","id":"vfbroker0","fd":"vfbroker12"})"));
    EXPECT_THAT(arguments("device_add"),
                ElementsAre(R"({"driver":"vfio-pci","id":"vfbroker12-0","iommufd":"vfbroker0",)"
                            R"("fd":"vfbroker12-0","bus":"rp2","rombar":0,"multifunction":true,)"
                            R"("x":"y"})"));
    for (const auto& command : qemu.commands())
        EXPECT_EQ(command.descriptors, command.name == "getfd" ? 1u : 0u) << command.name;
    EXPECT_EQ(vmm->has({.lease = 12, .count = 1}), true);
    EXPECT_EQ(vmm->has({.lease = 12, .count = 2}), false);
}

TEST_F(QemuHotPlug, AnIommufdThatIsThereIsShared) {
    guest.objects = {{"ram", "memory-backend-ram"}, {"theirs", "iommufd"}};
    ASSERT_TRUE(vmm->plug(lease_of(true), {"bus=mine"}));
    EXPECT_THAT(arguments("object-add"), ElementsAre());
    EXPECT_THAT(arguments("device_add"),
                ElementsAre(R"({"driver":"vfio-pci","id":"vfbroker12-0","iommufd":"theirs",)"
                            R"("fd":"vfbroker12-0","bus":"mine"})"));
    EXPECT_THAT(arguments("query-pci"), ElementsAre());
}

TEST_F(QemuHotPlug, Nodes) {
    ASSERT_TRUE(vmm->plug(lease_of(false, 2), {}));
    EXPECT_THAT(arguments("device_add"),
                ElementsAre(R"({"driver":"vfio-pci","id":"vfbroker12-0","host":"0000:01:10.0",)"
                            R"("bus":"rp2"})",
                            R"({"driver":"vfio-pci","id":"vfbroker12-1","host":"0000:01:10.1"})"));
    EXPECT_THAT(arguments("getfd"), ElementsAre());
}

TEST_F(QemuHotPlug, RefusedWithQemusTextAndWhatToDo) {
    guest.refuse_device = true;
    const auto refused = vmm->plug(lease_of(true), {});
    EXPECT_EQ(refused.error().message(),
              "cannot plug 0000:01:10.0 into the guest: QEMU says: no such thing");
    EXPECT_EQ(refused.error().hint, "QEMU's own output and `dmesg` may say more");
    // What it left is taken away.
    ASSERT_TRUE(vmm->unplug({.lease = 12, .count = 1}, 1s));
    EXPECT_TRUE(guest.objects.empty());
    EXPECT_THAT(arguments("closefd"),
                ElementsAre(R"({"fdname":"vfbroker12"})", R"({"fdname":"vfbroker12-0"})"));
}

TEST_F(QemuHotPlug, UnplugsWhatIsThere) {
    guest.devices = {"vfbroker12-1", "vfbroker13-0"};
    guest.objects = {{"vfbroker0", "iommufd"}};
    ASSERT_TRUE(vmm->unplug({.lease = 12, .count = 3}, 5s));
    EXPECT_THAT(guest.devices, ElementsAre("vfbroker13-0"));
    EXPECT_EQ(arguments("device_del").size(), 3u);
}

TEST_F(QemuHotPlug, AGuestThatDoesNotAnswer) {
    guest.devices = {"vfbroker12-0"};
    guest.asleep = true;
    const auto late = vmm->unplug({.lease = 12, .count = 1}, 50ms);
    EXPECT_EQ(late.error().code, Code::timeout);
    EXPECT_THAT(late.error().hint, ::testing::HasSubstr("The device and its lease stay"));
    EXPECT_THAT(arguments("object-del"), ElementsAre());
}

TEST_F(QemuHotPlug, AGuestThatRefuses) {
    guest.devices = {"vfbroker12-0"};
    guest.unwilling = true;
    EXPECT_EQ(vmm->unplug({.lease = 12, .count = 1}, 5s).error().code, Code::busy);
}

TEST_F(QemuHotPlug, MemoryIsPinnedOnceOrForEachDevice) {
    guest.devices = {"vfbroker12-0"};
    constexpr std::uint64_t kMemory = (1U << 30) + (1U << 20);
    EXPECT_EQ(vmm->pinned_memory(2), kMemory);
    guest.guest_iommu = true;
    EXPECT_EQ(vmm->pinned_memory(2), 3 * kMemory);
}

}  // namespace
}  // namespace vfb::test
