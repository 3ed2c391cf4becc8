using System.Diagnostics;
using System.Security.Cryptography;

namespace Trainer.Text.Tests;

public sealed class InstalledDotnetDocsTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void The_installed_sdk_gives_a_real_corpus()
    {
        var start = Stopwatch.GetTimestamp();
        var corpus = DotnetDocs.Open(Environment.GetEnvironmentVariable("KEEP") ?? folder["dotnet-docs"]);
        var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        Assert.InRange(seconds, 0, 30);
        Console.Error.WriteLine($"built in {seconds}");
        var text = File.ReadAllBytes(corpus.Files[0]);
        Console.Error.WriteLine(Convert.ToHexString(SHA256.HashData(text)));
    }
}
