using System.Text.Json.Nodes;
using Trainer.Reporting.Runs;

namespace Trainer.Reporting.Tests.Runs;

public sealed class ConfigurationTableTests
{
    [Fact]
    public void Only_settings_that_are_not_equal_differ()
    {
        var rows = Table(
            """{ "name": "a", "model": { "dim": 64, "attention": { "heads": 4 } }, "optimizer": { "betas": [0.9, 0.95] }, "empty": {} }""",
            """{ "name": "a", "model": { "dim": 96, "position": { "type": "rotary" } }, "optimizer": { "betas": [0.9, 0.95] }, "empty": {} }""");

        Assert.Equal(["name", "model.dim", "model.position.type", "model.attention.heads", "optimizer.betas", "empty"],
            rows.Select(row => row.Path));
        Assert.Equal(["model.dim", "model.position.type", "model.attention.heads"], rows.Where(row => row.Differs).Select(row => row.Path));
        Assert.Equal([null, "rotary"], rows[2].Values);
        Assert.Equal(["[0.9,0.95]", "[0.9,0.95]"], rows[4].Values);
    }

    [Fact]
    public void Lists_of_sections_are_compared_section_by_section()
    {
        var rows = Table("""{ "data": { "train": [ { "path": "a" }, { "path": "b" } ] } }""", """{ "data": { "train": [ { "path": "a" } ] } }""");
        Assert.Equal(["data.train.1.path"], rows.Where(row => row.Differs).Select(row => row.Path));
    }

    private static IReadOnlyList<SettingRow> Table(params string[] configurations) =>
        ConfigurationTable.Of([.. configurations.Select(json => JsonNode.Parse(json)!.AsObject())]);
}
