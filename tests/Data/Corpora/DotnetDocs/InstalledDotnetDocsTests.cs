namespace Trainer.Data.Tests;

/// <summary>The corpus of the SDK that runs these tests.</summary>
public sealed class InstalledDotnetDocsTests(InstalledDotnetDocsTests.Corpus corpus) : IClassFixture<InstalledDotnetDocsTests.Corpus>
{
    /// <summary>Built once for all tests here, since it takes seconds.</summary>
    public sealed class Corpus : IDisposable
    {
        private readonly TemporaryFolder folder = new();

        public Corpus() => Text = File.ReadAllText(DotnetDocs.Open(folder["dotnet-docs"]).Files[0]);

        public string Text { get; }

        public void Dispose() => folder.Dispose();
    }

    [Fact]
    public void It_is_large_plain_ascii()
    {
        Assert.InRange(corpus.Text.Length, 8_000_000, 16_000_000);
        Assert.DoesNotContain(corpus.Text, c => c is not ('\n' or (>= ' ' and <= '~')));
    }

    [Fact]
    public void No_sentence_of_the_held_out_end_is_trained_on()
    {
        var cut = (int)(0.9 * corpus.Text.Length);
        var train = Keys(corpus.Text[..cut]).ToHashSet();
        var held = Keys(corpus.Text[cut..]).Skip(2).ToArray();   // the cut itself may split a sentence
        Assert.InRange(train.Count, 85_000, 200_000);
        Assert.InRange(held.Length, 8_000, 20_000);
        Assert.DoesNotContain(held, train.Contains);
    }

    [Fact]
    public void Common_members_read_as_documentation()
    {
        Assert.Contains("\n\nSystem.Text.StringBuilder\nRepresents a mutable string of characters.", corpus.Text);
        Assert.Contains("\n\nStringBuilder.Append(", corpus.Text);
    }

    /// <summary>Sentences behind headings and labels.</summary>
    private static IEnumerable<string> Keys(string text) =>
        text.Split("\n\n").SelectMany(entry => entry.Split('\n').Skip(1))
            .Select(line => line.Split(": ", 2) is [var label, var rest] && label.Split(' ').Length <= 2 ? rest : line)
            .SelectMany(Prose.Sentences).Select(Prose.Key);
}
