// SPDX-License-Identifier: GPL-2.0-or-later
//
// What is decided before the kernel is asked; the rest is in vm_pci_test.
#include "pci/binding.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tree/tree.hpp"

namespace vfb::pci {
namespace {

class Binder : public testing::Test {
protected:
    void SetUp() override {
        auto tree = tree::Tree::create(folder.path()).value();
        tree::FunctionSpec spec;
        spec.function.address = address;
        spec.function.vendor = 0x15b3;
        spec.function.device = 0x101e;
        spec.function.class_code = 0x020000;
        spec.function.driver = "vfio-pci";
        spec.driver_override = "vfio-pci";
        ASSERT_TRUE(tree.add(spec));
        spec.function.address.function = 1;
        spec.function.driver.reset();
        spec.driver_override.clear();
        ASSERT_TRUE(tree.add(spec));
    }
    SysRoot root() { return SysRoot::at(folder.path()).value(); }
    void load(const std::string& driver) {
        ASSERT_TRUE(
            tree::write_file(folder.path() + "/sys/bus/pci/drivers/" + driver + "/bind", ""));
    }
    void know(const std::string& file, std::string_view text) {
        ASSERT_TRUE(tree::write_file(folder.path() + "/lib/modules/6.12.0/" + file, text));
    }

    tree::TemporaryFolder folder = tree::TemporaryFolder::create().value();
    Address address{.domain = 0, .bus = 1, .device = 0, .function = 0};
    Address unbound{.domain = 0, .bus = 1, .device = 0, .function = 1};
};

TEST_F(Binder, ReadsWhatIs) {
    EXPECT_EQ(current_binding(root(), address).value(),
              (Binding{.driver = "vfio-pci", .driver_override = "vfio-pci"}));
    EXPECT_EQ(current_binding(root(), unbound).value(), Binding{});
}

TEST_F(Binder, LeavesABoundFunctionAlone) {
    const auto before = pci::bind(root(), address, "vfio-pci").value();
    EXPECT_EQ(before, (Binding{.driver = "vfio-pci", .driver_override = "vfio-pci"}));
    EXPECT_EQ(root().sys().read("bus/pci/drivers/vfio-pci/unbind").value(), "");
}

TEST_F(Binder, RefusesWhatIsNoDriver) {
    for (const std::string name : {"", ".", "..", "a/b", "../../x", "a b", "a\nb", "(null)"}) {
        const auto error = pci::bind(root(), unbound, name).error();
        EXPECT_EQ(error.code, Code::invalid) << name;
    }
    const auto error = pci::bind(root(), unbound, "mlx5-vfio-pci").error();
    EXPECT_EQ(error.code, Code::not_found);
    EXPECT_EQ(error.message(),
              "cannot bind 0000:01:00.1 to mlx5-vfio-pci: the driver is not loaded");
    EXPECT_EQ(error.hint, "modprobe mlx5_vfio_pci");
    EXPECT_EQ(pci::bind(root(), Address{.bus = 9}, "vfio-pci").error().code, Code::not_found);
}

TEST_F(Binder, ChoosesTheGenericDriverWhereNothingIsKnown) {
    EXPECT_EQ(best_vfio_driver(root(), address).value(), "vfio-pci");
    know("modules.alias", "alias vfio_pci:v*d*sv*sd*bc*sc*i* vfio_pci\n");
    EXPECT_EQ(best_vfio_driver(root(), address).value(), "vfio-pci");
    EXPECT_FALSE(best_vfio_driver(root(), Address{.bus = 9}));
    // It is made for everything, and so for nothing.
    EXPECT_TRUE(variant_drivers(root(), address).value().empty());
}

TEST_F(Binder, ChoosesTheVariantThatFitsBestAndIsLoaded) {
    know("modules.alias",
         "# Aliases extracted from modules themselves.\n"
         "alias pci:v000015B3d0000101Esv*sd*bc*sc*i* mlx5_core\n"
         "alias vfio_pci:v*d*sv*sd*bc*sc*i* vfio_pci\n"
         "alias vfio_pci:v000015B3d*sv*sd*bc*sc*i* some_vfio_pci\n"
         "alias vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i* mlx5_vfio_pci\n"
         "alias vfio_pci:v000019E5d0000A251sv*sd*bc*sc*i* hisi_acc_vfio_pci\n");
    EXPECT_EQ(best_vfio_driver(root(), address).value(), "vfio-pci");
    const std::vector<VariantDriver> none_loaded{{"mlx5_vfio_pci", std::nullopt},
                                                 {"some_vfio_pci", std::nullopt}};
    EXPECT_EQ(variant_drivers(root(), address).value(), none_loaded);
    load("some-vfio-pci");
    EXPECT_EQ(best_vfio_driver(root(), address).value(), "some-vfio-pci");
    load("mlx5_vfio_pci");
    EXPECT_EQ(best_vfio_driver(root(), address).value(), "mlx5_vfio_pci");
}

TEST_F(Binder, KnowsVariantsThatAreBuiltIn) {
    using namespace std::string_literals;
    know(
        "modules.builtin.modinfo",
        "mlx5_vfio_pci.license=GPL\0mlx5_vfio_pci.alias=vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i*\0"s);
    load("mlx5_vfio_pci");
    EXPECT_EQ(best_vfio_driver(root(), address).value(), "mlx5_vfio_pci");
}

}  // namespace
}  // namespace vfb::pci
