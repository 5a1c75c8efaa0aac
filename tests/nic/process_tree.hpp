// SPDX-License-Identifier: GPL-2.0-or-later
//
// A tree with processes and their descriptors.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/sys_root.hpp"

namespace vfb::nic {

class ProcessTree {
public:
    ProcessTree()
        : folder_(std::filesystem::path(testing::TempDir()) /
                  ("processes" + std::to_string(::getpid()))) {
        std::filesystem::remove_all(folder_);
        for (const char* name : {"sys", "dev", "proc"})
            std::filesystem::create_directories(folder_ / name);
    }
    ProcessTree(const ProcessTree&) = delete;
    ProcessTree& operator=(const ProcessTree&) = delete;
    ~ProcessTree() { std::filesystem::remove_all(folder_); }

    void write(const std::string& name, const std::string& text) const {
        std::filesystem::create_directories((folder_ / name).parent_path());
        std::ofstream(folder_ / name) << text;
    }
    void link(const std::string& name, const std::string& target) const {
        std::filesystem::create_directories((folder_ / name).parent_path());
        std::filesystem::create_symlink(target, folder_ / name);
    }
    void add(int pid, const std::string& name, int fd, const std::string& target) const {
        const std::string process = "proc/" + std::to_string(pid);
        write(process + "/comm", name + "\n");
        link(process + "/fd/" + std::to_string(fd), target);
    }
    std::string dev(const std::string& name) const { return (folder_ / "dev" / name).string(); }
    SysRoot root() const { return SysRoot::at(folder_.string()).value(); }

private:
    std::filesystem::path folder_;
};

}  // namespace vfb::nic
