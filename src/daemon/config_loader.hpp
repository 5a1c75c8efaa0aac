// SPDX-License-Identifier: GPL-2.0-or-later
//
// ConfigLoader: reads the configuration in a thread, because the user database that it asks may be
// slow. One reading at a time; who asks meanwhile gets what is in the files after that.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "broker/config.hpp"
#include "event_loop.hpp"

namespace vfb::daemon {

class ConfigLoader {
public:
    using Done = std::function<void(const Result<broker::Config>&)>;

    ConfigLoader(EventLoop& loop, std::string directory);
    ~ConfigLoader();
    ConfigLoader(const ConfigLoader&) = delete;
    ConfigLoader& operator=(const ConfigLoader&) = delete;

    // `done` from the loop, exactly once.
    void load(Done done) { load({}, std::move(done)); }
    // With other texts for some files: see broker::load_config().
    void load(broker::FileTexts instead, Done done);

private:
    struct Reading;
    struct Wanted {
        broker::FileTexts instead;
        Done done;
    };
    void start();
    void finish();

    EventLoop& loop_;
    std::string directory_;
    std::vector<Wanted> waiting_;
    std::unique_ptr<Reading> reading_;
};

}  // namespace vfb::daemon
