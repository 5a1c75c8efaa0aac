// SPDX-License-Identifier: GPL-2.0-or-later
#include "folder.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace vfb::cdi {
namespace {

namespace fs = std::filesystem;
using ::testing::UnorderedElementsAre;

class KeepFiles : public ::testing::Test {
protected:
    void SetUp() override {
        std::string pattern = ::testing::TempDir() + "vfb-cdi-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        parent_ = pattern;
        folder_ = pattern + "/cdi";
    }
    void TearDown() override { fs::remove_all(parent_); }

    void write(const std::string& name, const std::string& text) const {
        std::ofstream(folder_ + "/" + name) << text;
    }
    [[nodiscard]] std::string read(const std::string& name) const {
        std::ifstream file(folder_ + "/" + name);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> found;
        for (const auto& entry : fs::directory_iterator(folder_))
            found.push_back(entry.path().filename());
        return found;
    }
    [[nodiscard]] ino_t inode(const std::string& name) const {
        struct stat status{};
        EXPECT_EQ(::stat((folder_ + "/" + name).c_str(), &status), 0);
        return status.st_ino;
    }

    std::string parent_;
    std::string folder_;
};

TEST_F(KeepFiles, MakesTheFolderForAllToRead) {
    const auto umask = ::umask(0077);
    const auto kept = keep_files(folder_, {{"vfbroker-a.json", "1"}});
    ::umask(umask);
    ASSERT_TRUE(kept) << kept.error().message();
    EXPECT_EQ(read("vfbroker-a.json"), "1");
    EXPECT_EQ(fs::status(folder_).permissions(), fs::perms(0755));
    EXPECT_EQ(fs::status(folder_ + "/vfbroker-a.json").permissions(), fs::perms(0644));
}

TEST_F(KeepFiles, TouchesOnlyWhatIsOursAndDiffers) {
    fs::create_directory(folder_);
    for (const char* name : {"vfbroker-a.json", "vfbroker-b.json", "vfbroker-gone.json",
                             "vendor.json", "vfbroker-x.yaml"})
        write(name, "old");
    const auto kept = inode("vfbroker-a.json");
    ASSERT_TRUE(keep_files(folder_, {{"vfbroker-a.json", "old"}, {"vfbroker-b.json", "new"}}));
    EXPECT_THAT(names(), UnorderedElementsAre("vfbroker-a.json", "vfbroker-b.json", "vendor.json",
                                              "vfbroker-x.yaml"));
    EXPECT_EQ(read("vfbroker-b.json"), "new");
    EXPECT_EQ(inode("vfbroker-a.json"), kept);
}

TEST_F(KeepFiles, GoesOnPastAFailure) {
    fs::create_directories(folder_ + "/vfbroker-a.json/in-the-way");
    const auto kept = keep_files(folder_, {{"vfbroker-a.json", "1"}, {"vfbroker-b.json", "2"}});
    ASSERT_FALSE(kept);
    EXPECT_THAT(kept.error().message(), ::testing::HasSubstr("vfbroker-a.json"));
    EXPECT_EQ(read("vfbroker-b.json"), "2");
    EXPECT_THAT(names(), UnorderedElementsAre("vfbroker-a.json", "vfbroker-b.json"));
}

}  // namespace
}  // namespace vfb::cdi
