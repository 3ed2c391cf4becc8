using Trainer.Data.Corpora;

namespace Trainer.Data.Tests.Corpora;

public sealed class DotnetInstallationTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void The_newest_version_and_framework_of_each_pack_is_taken_the_base_library_first()
    {
        foreach (var path in new[]
        {
            "A.App.Ref/9.0.0/ref/net9.0/a.xml", "A.App.Ref/10.0.0-preview.1/ref/net10.0/a.xml",
            "Microsoft.NETCore.App.Ref/9.0.11/ref/net9.0/old.xml", "Microsoft.NETCore.App.Ref/10.0.2/ref/net10.0/new.xml",
            "Microsoft.NETCore.App.Ref/10.0.12/ref/net10.0/b.xml", "Microsoft.NETCore.App.Ref/10.0.12/ref/net10.0/B.xml",
            "Microsoft.NETCore.App.Ref/10.0.12-rc.1/ref/net10.0/c.xml", "Microsoft.NETCore.App.Ref/10.0.12/ref/net9.0/d.xml",
            "Microsoft.NETCore.App.Ref/10.0.12/ref/net10.0/b.dll", "Microsoft.NETCore.App.Ref/10.0.12/ref/net10.0/de/b.xml",
            "Standard.Ref/2.1.0/ref/netstandard2.1/s.xml", "Host/10.0.12/runtimes/native.xml",
        })
        {
            Directory.CreateDirectory(Path.GetDirectoryName(folder[$"packs/{path}"])!);
            File.WriteAllText(folder[$"packs/{path}"], path);
        }
        Assert.Equal(
            ["packs/Microsoft.NETCore.App.Ref/10.0.12/ref/net10.0/B.xml", "packs/Microsoft.NETCore.App.Ref/10.0.12/ref/net10.0/b.xml",
                "packs/A.App.Ref/10.0.0-preview.1/ref/net10.0/a.xml"],
            ReferencePacks.Find(folder.Path).Select(file => file.Path));
        Assert.Empty(ReferencePacks.Find(folder["none"]));
    }
}
