using System.Security.Cryptography;
using Trainer.Configuration;

namespace Trainer.Data.Tests;

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
        Pack("1.0.0", "b.xml", "<member name=\"T:A\"><summary>Never read.</summary></member><member name=\"T:B\"><summary>Second type.</summary></member>");
        var text = File.ReadAllBytes(Open().Files[0]);
        var sources = DotnetDocsSources.TryLoad(folder["docs/sources.json"])!;
        Assert.Equal(new DotnetDocsText(text.Length, Convert.ToHexStringLower(SHA256.HashData(text)), 2, 2, 3), sources.Text);
        Assert.Equal(
            [("packs/X.Ref/1.0.0/ref/net10.0/a.xml", 1, 2), ("packs/X.Ref/1.0.0/ref/net10.0/b.xml", 1, 1)],
            sources.Files.Select(file => (file.Path, file.Members, file.Sentences)));
        Assert.All(sources.Files, file => Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(folder[$"sdk/{file.Path}"]))), file.Sha256));
    }

    [Fact]
    public void It_is_built_once_and_again_for_another_sdk_or_when_damaged()
    {
        Pack("1.0.0", "a.xml", "<member name=\"T:A\"><summary>First type.</summary></member>");
        Open();
        Assert.Equal(2, lines.Count);
        Open();
        Assert.Equal(2, lines.Count);
        foreach (var damage in new Action[]
        {
            () => Pack("1.0.1", "a.xml", "<member name=\"T:A\"><summary>Newer type.</summary></member>"),
            () => File.AppendAllText(folder["docs/text.txt"], "x"),
            () => File.WriteAllText(folder["docs/sources.json"], "{"),
            () => File.Delete(folder["docs/text.txt"]),
        })
        {
            lines.Clear();
            damage();
            Assert.Equal("A\nNewer type.\n\n", File.ReadAllText(Open().Files[0]));
            Assert.Equal(2, lines.Count);
        }
    }

    [Fact]
    public void A_damaged_documentation_file_is_named()
    {
        Pack("1.0.0", "a.xml", "<member name=\"T:A\"><summary>First");
        Assert.Matches("a\\.xml is damaged: .* Repair or reinstall the \\.NET SDK$", Assert.Throws<UserException>(Open).Message);
    }

    private DotnetDocs Open()
    {
        var progress = new Lines(lines);
        return DotnetDocs.Open(folder["docs"], folder["sdk"], progress);
    }

    private void Pack(string version, string name, string members)
    {
        var path = folder[$"sdk/packs/X.Ref/{version}/ref/net10.0/{name}"];
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, $"<?xml version=\"1.0\"?><doc><members>{members}</members></doc>");
    }
}
