// SPDX-License-Identifier: GPL-2.0-or-later
#include "tree.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

namespace vfb::vfio::test {

pci::Address at(const std::string& text) {
    return pci::Address::parse(text).value();
}

Tree::Tree() {
    std::string name = testing::TempDir() + "vfbroker-vfio-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    folder_ = name;
    for (const char* tree : {"sys", "dev", "proc"})
        std::filesystem::create_directory(folder_ / tree);
}

Tree::~Tree() {
    std::filesystem::remove_all(folder_);
}

void Tree::write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
}

void Tree::link(const std::string& name, const std::string& target) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::filesystem::create_symlink(target, folder_ / name);
}

void Tree::add_bound(const std::string& address, unsigned number, unsigned group,
                     const std::string& group_prefix) const {
    const std::string folder = "sys/bus/pci/devices/" + address + "/";
    const std::string name = "vfio" + std::to_string(number);
    write(folder + "vfio-dev/" + name + "/dev", "511:" + std::to_string(number) + "\n");
    link(folder + "driver", "../../../../bus/pci/drivers/vfio-pci");
    link(folder + "iommu_group", "../../../../kernel/iommu_groups/" + std::to_string(group));
    write("dev/vfio/devices/" + name, "");
    write("dev/vfio/" + group_prefix + std::to_string(group), "");
}

void Tree::add_process(int pid, const std::string& name, int fd, const std::string& target) const {
    const std::string folder = "proc/" + std::to_string(pid) + "/";
    write(folder + "comm", name + "\n");
    link(folder + "fd/" + std::to_string(fd), target);
}

std::string Tree::dev(const std::string& name) const {
    return (folder_ / "dev" / name).string();
}

SysRoot Tree::root() const {
    return SysRoot::at(folder_.string()).value();
}

}  // namespace vfb::vfio::test
