using System.Security.Cryptography;
using FsCheck.Fluent;
using Trainer.Configuration;
using Trainer.Data.Corpora;

namespace Trainer.Data.Tests.Corpora;

public sealed class DotnetDocsTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly List<string> lines = [];

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Members_become_entries_and_no_sentence_comes_twice()
    {
        Pack("1.0.0", "a.xml", """
            <member name="M:N.Box`1.Add(`0)">
              <summary>Adds an item. The box grows.</summary>
              <param name="item">The item to add.</param>
              <returns>The number of items.</returns>
              <exception cref="T:System.ArgumentNullException"><paramref name="item" /> is <see langword="null" />. -or- The box is closed.</exception>
            </member>
            <member name="T:N.Box`1"><typeparam name="TItem">The type of its items.</typeparam><summary>A box of items.</summary></member>
            <member name="M:N.Box`1.Insert(`0)"><summary>adds an item</summary><param name="item">The item to add.</param></member>
            <member name="P:N.Box`1.Count"><value>The number of items. It never shrinks.</value></member>
            """);
        Assert.Equal("""
            N.Box<TItem>
            A box of items.
            TItem: The type of its items.

            Box<TItem>.Add(TItem item)
            Adds an item. The box grows.
            item: The item to add.
            Returns: The number of items.
            Throws ArgumentNullException: item is null.
            Throws ArgumentNullException: The box is closed.

            Box<TItem>.Count
            Value: It never shrinks.


            """, File.ReadAllText(Open().Files[0]));
    }

    [Fact]
    public void The_record_says_what_was_taken_from_where()
    {
        Pack("1.0.0", "a.xml", "<member name=\"T:A\"><summary>First type. Shared words.</summary></member>");
        Pack("1.0.0", "b.xml",
            "<member name=\"T:A\"><summary>Never read.</summary></member><member name=\"T:B\"><summary>Second type.</summary></member>");
        var text = File.ReadAllBytes(Open().Files[0]);
        var sources = DotnetDocsSources.TryLoad(folder["docs/sources.json"])!;
        Assert.Equal(new DotnetDocsText(text.Length, Convert.ToHexStringLower(SHA256.HashData(text)), 2, 2, 3), sources.Text);
        Assert.Equal(
            [("packs/X.Ref/1.0.0/ref/net10.0/a.xml", 1, 2), ("packs/X.Ref/1.0.0/ref/net10.0/b.xml", 1, 1)],
            sources.Files.Select(file => (file.Path, file.Members, file.Sentences)));
        Assert.All(sources.Files,
            file => Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(folder[$"sdk/{file.Path}"]))), file.Sha256));
    }

    [Theory]
    [InlineData("another sdk", "Newer")]
    [InlineData("a longer text", "First")]
    [InlineData("a damaged record", "First")]
    [InlineData("no text", "First")]
    public void It_is_built_once_and_again_for_another_sdk_or_when_damaged(string damage, string type)
    {
        Pack("1.0.0", "a.xml", "<member name=\"T:A\"><summary>First type.</summary></member>");
        Open();
        Assert.Equal(2, lines.Count);
        Open();
        Assert.Equal(2, lines.Count);
        lines.Clear();
        switch (damage)
        {
            case "another sdk": Pack("1.0.1", "a.xml", "<member name=\"T:A\"><summary>Newer type.</summary></member>"); break;
            case "a longer text": File.AppendAllText(folder["docs/text.txt"], "x"); break;
            case "a damaged record": File.WriteAllText(folder["docs/sources.json"], "{"); break;
            default: File.Delete(folder["docs/text.txt"]); break;
        }
        Assert.Equal($"A\n{type} type.\n\n", File.ReadAllText(Open().Files[0]));
        Assert.Equal(2, lines.Count);
    }

    [Fact]
    public void A_damaged_documentation_file_is_named()
    {
        Pack("1.0.0", "a.xml", "<member name=\"T:A\"><summary>First");
        Assert.Matches("a\\.xml is damaged: .* Repair or reinstall the \\.NET SDK$", Assert.Throws<UserException>(Open).Message);
    }

    private DotnetDocs Open()
    {
        var progress = new ProgressLog(lines);
        return DotnetDocs.Open(folder["docs"], folder["sdk"], progress);
    }

    private void Pack(string version, string name, string members)
    {
        var path = folder[$"sdk/packs/X.Ref/{version}/ref/net10.0/{name}"];
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, $"<?xml version=\"1.0\"?><doc><members>{members}</members></doc>");
    }
}

public sealed class BlankLineSplitterTests
{
    [Fact]
    public void Documents_end_with_a_blank_line_wherever_the_pieces_are_cut() =>
        Prop.ForAll((
            from documents in (
                from lines in Gen.Choose(1, 5).NonEmptyListOf()
                select string.Concat(lines.Select(length => new string('x', length) + "\n")) + "\n").NonEmptyListOf()
            from open in Gen.Elements("", "an end\nwithout a blank line")
            from size in Gen.Choose(1, 12)
            select (documents: documents.Append(open).Where(text => text.Length > 0).ToArray(), size)).ToArbitrary(), choice =>
        {
            var (found, lines) = (new List<string>(), 1L);
            foreach (var piece in BlankLineSplitter.Documents(Pieces(string.Concat(choice.documents), choice.size)))
            {
                if (piece.StartsDocument)
                    found.Add("");
                found[^1] += piece.Text;
                Assert.Equal(lines, piece.Line);
                lines += piece.Text.Span.Count('\n');
            }
            Assert.Equal(choice.documents, found);
        }).Holds();

    private static IEnumerable<TextPiece> Pieces(string text, int size)
    {
        var line = 1L;
        for (var start = 0; start < text.Length; start += size)
        {
            var part = text.AsMemory(start, Math.Min(size, text.Length - start));
            yield return new TextPiece(part, start == 0, "a.txt", line);
            line += part.Span.Count('\n');
        }
    }
}

/// <summary>The corpus of the SDK that runs the tests.</summary>
public sealed class InstalledDotnetDocsTests(InstalledDotnetDocsTests.Corpus corpus) : IClassFixture<InstalledDotnetDocsTests.Corpus>
{
    /// <summary>Takes seconds to build, so all tests share it.</summary>
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

    /// <summary>Sentences without headings and labels.</summary>
    private static IEnumerable<string> Keys(string text) =>
        text.Split("\n\n").SelectMany(entry => entry.Split('\n').Skip(1))
            .Select(line => line.Split(": ", 2) is [var label, var rest] && label.Split(' ').Length <= 2 ? rest : line)
            .SelectMany(Prose.Sentences).Select(Prose.Key);
}
