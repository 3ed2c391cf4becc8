using Trainer.Configuration;

namespace Trainer.Data.Tests;

public sealed class AtomicFileTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void A_folder_replaces_the_earlier_one_whole()
    {
        AtomicFile.WriteFolder(folder["data"], temporary => File.WriteAllText(Path.Combine(temporary, "a"), "1"));
        AtomicFile.WriteFolder(folder["data"], temporary => File.WriteAllText(Path.Combine(temporary, "b"), "2"));
        Assert.Equal(["b"], Directory.GetFiles(folder["data"]).Select(Path.GetFileName));
        Assert.Equal([folder["data"]], Directory.GetFileSystemEntries(folder.Path));
    }

    [Fact]
    public void A_folder_gets_the_parents_that_are_missing()
    {
        AtomicFile.WriteFolder(folder["some/where/data/"], temporary => File.WriteAllText(Path.Combine(temporary, "a"), "1"));
        Assert.Equal("1", File.ReadAllText(folder["some/where/data/a"]));
    }

    [Fact]
    public async Task Several_writers_of_one_folder_leave_that_of_one()
    {
        await Task.WhenAll(Enumerable.Range(0, 8).Select(writer => Task.Run(() =>
        {
            for (int i = 0; i < 50; i++)
                AtomicFile.WriteFolder(folder["data"], made => File.WriteAllText(Path.Combine(made, $"{writer}"), "whole"));
        })));
        Assert.Equal("whole", File.ReadAllText(Assert.Single(Directory.GetFiles(folder["data"]))));
        Assert.Equal([folder["data"]], Directory.GetFileSystemEntries(folder.Path));
    }

    [Fact]
    public void When_writing_fails_the_earlier_content_stays_and_nothing_else()
    {
        AtomicFile.WriteFolder(folder["data"], temporary => File.WriteAllText(Path.Combine(temporary, "a"), "1"));
        folder.Write("file", "1");
        var full = Assert.Throws<UserException>(() => AtomicFile.WriteFolder(folder["data"],
            _ => throw new IOException("No space left on device.")));
        Assert.Equal($"{folder["data"]} cannot be written: No space left on device; free space on the disk or choose another place",
            full.Message);
        Assert.Throws<UserException>(() => AtomicFile.Write(folder["file"], _ => throw new IOException("No space left on device.")));
        Assert.Equal("1", File.ReadAllText(Path.Combine(folder["data"], "a")));
        Assert.Equal("1", File.ReadAllText(folder["file"]));
        Assert.Equal([folder["data"], folder["file"]], Directory.GetFileSystemEntries(folder.Path).Order());
    }

    [Fact]
    public void Leftovers_of_killed_processes_go_and_recent_ones_stay()
    {
        foreach (var name in new[] { "data.1.tmp", "data.2.old", "data.3.tmp", "data.txt" })
            Directory.CreateDirectory(folder[name]);
        Directory.SetLastWriteTimeUtc(folder["data.1.tmp"], DateTime.UtcNow.AddHours(-2));
        Directory.SetLastWriteTimeUtc(folder["data.2.old"], DateTime.UtcNow.AddHours(-2));
        Directory.SetLastWriteTimeUtc(folder["data.txt"], DateTime.UtcNow.AddHours(-2));
        AtomicFile.WriteFolder(folder["data"], _ => { });
        Assert.Equal(["data", "data.3.tmp", "data.txt"], Directory.GetDirectories(folder.Path).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void A_folder_that_is_being_written_stays_and_one_whose_writer_is_gone_goes()
    {
        Directory.CreateDirectory(folder["data.killed.tmp"]);
        File.WriteAllText(folder["data.killed.tmp.owner"], "");
        AtomicFile.WriteFolder(folder["data"], running =>
        {
            Assert.False(Directory.Exists(folder["data.killed.tmp"]));
            Directory.SetLastWriteTimeUtc(running, DateTime.UtcNow.AddDays(-1));
            AtomicFile.WriteFolder(folder["data"], _ => { });
            Assert.True(Directory.Exists(running));
        });
        Assert.Equal([folder["data"]], Directory.GetFileSystemEntries(folder.Path));
        Assert.Empty(Directory.GetFileSystemEntries(folder["data"]));
    }
}
