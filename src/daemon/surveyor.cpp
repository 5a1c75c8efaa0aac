// SPDX-License-Identifier: GPL-2.0-or-later
#include "surveyor.hpp"

#include "pf_match.hpp"
#include "wire.hpp"

namespace vfb::daemon {
namespace {

constexpr std::chrono::seconds kSurveyTimeout{20};

}  // namespace

struct Surveyor::Survey {
    SeenPfs seen;
    std::size_t outstanding = 1;  // one more than there are, until all are asked
    std::function<void(SeenPfs)> done;

    void one_less() {
        if (--outstanding == 0) done(std::move(seen));
    }
};

void Surveyor::survey(const broker::Config& config, std::function<void(SeenPfs)> done) {
    const auto survey = std::make_shared<Survey>();
    survey->done = std::move(done);
    const PfMatches matches = match_pfs(config.pfs, world_.functions());
    for (const broker::PfConfig& pf : config.pfs) {
        const auto place = hardware_.place_of(pf.name);
        survey_pf(survey, pf,
                  place ? stay(pf, *place, matches.at(pf.name)) : std::unexpected(place.error()));
    }
    survey->one_less();
}

void Surveyor::survey_pf(const std::shared_ptr<Survey>& survey, const broker::PfConfig& pf,
                         const Result<pci::Address>& address) {
    broker::Seen& seen = survey->seen[pf.name];
    if (!address) {
        seen.problem = address.error();
        return;
    }
    seen.address = *address;
    ++survey->outstanding;
    workers_.of(address->str())
        .call({.operation = "survey-pf",
               .parameters = {{"pf", address->str()}, {"wanted", pf.vfs}},
               .timeout = kSurveyTimeout,
               .subject = address->str(),
               .done =
                   [survey, name = pf.name](const Result<WorkerReply>& reply) {
                       auto& found = survey->seen[name];
                       auto read = reply ? survey_from_json(reply->parameters)
                                         : Result<broker::Survey>(std::unexpected(reply.error()));
                       if (read)
                           found.survey = std::move(*read);
                       else
                           found.problem = std::move(read).error();
                       survey->one_less();
                   },
               .part = {},
               .late = {}});
}

}  // namespace vfb::daemon
