using System.Text.RegularExpressions;

namespace Trainer.Cli.Tests;

/// <summary>What the documents say of files: links lead somewhere, and excerpts stand where they are said to.</summary>
public sealed partial class DocumentationTests
{
    public static TheoryData<string> Pages =>
        ["README.md", "CONTRIBUTING.md", "benchmarks/README.md", .. Directory.EnumerateFiles(PathOf("docs"), "*.md")
            .Select(path => "docs/" + Path.GetFileName(path)).Order()];

    [Theory]
    [MemberData(nameof(Pages))]
    public void Links_lead_to_files_that_are_there(string page)
    {
        var folder = Path.GetDirectoryName(PathOf(page))!;
        var targets = Link().Matches(File.ReadAllText(PathOf(page))).Select(match => match.Groups[1].Value.Split('#')[0]);
        Assert.All(
            targets.Where(target => target.Length > 0),
            target => Assert.True(Path.Exists(Path.Combine(folder, target)), $"{page} links to {target}, which is not there"));
    }

    [Theory]
    [InlineData("CONTRIBUTING.md")]
    [InlineData("docs/library.md")]
    public void Excerpts_stand_in_the_files_named_before_them(string page)
    {
        var (file, block, excerpts) = ("", (List<string>?)null, 0);
        foreach (var line in File.ReadAllLines(PathOf(page)))
        {
            if (block is null && line.Trim() == "```csharp") block = [];
            else if (block is not null && line.Trim() == "```")
            {
                Assert.Contains(Unindented(block), Unindented(File.ReadAllLines(PathOf(file))), StringComparison.Ordinal);
                (block, excerpts) = (null, excerpts + 1);
            }
            else if (block is not null) block.Add(line);
            else if (SourceFile().Matches(line) is [.., var last]) file = last.Groups[1].Value;
        }
        Assert.True(excerpts > 5, "the page has lost its excerpts");
    }

    [Fact]
    public void The_recipe_in_the_README_is_one()
    {
        using var workspace = new Workspace();
        File.WriteAllText(workspace.PathOf("my-text.txt"), Workspace.Words(4000));
        var text = File.ReadAllText(PathOf("README.md"));
        var begin = text.IndexOf("```json\n", StringComparison.Ordinal) + "```json\n".Length;
        File.WriteAllText(workspace.PathOf("mine.json"), text[begin..text.IndexOf("```", begin, StringComparison.Ordinal)]);
        workspace.Succeeds(
            "train", "mine.json", "--set", "tokenizer.vocabularySize=300", "training.steps=2", "training.batchSize=2",
            "evaluation.batches=1");
    }

    private static string Unindented(IEnumerable<string> lines) => string.Join('\n', lines.Select(line => line.TrimStart()));

    private static string PathOf(string name) => Path.Combine(Command.Repository, name);

    [GeneratedRegex(@"\]\((?!https?:)([^)\s]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"`((?:src|tests|benchmarks|docs)/[\w./]+\.cs)`")]
    private static partial Regex SourceFile();
}
