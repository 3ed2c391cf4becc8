using Trainer.Configuration;
using Trainer.Distributed;
using Trainer.Training.Distribution;
using Trainer.Training.Tests.Distribution;

namespace Trainer.Training.Tests;

/// <summary>The files in which a teacher's probabilities are kept: filled on after an interruption, by several ranks, and damaged.</summary>
public sealed class TeacherCacheFileTests : IDisposable
{
    private readonly TaughtRun taught = new();

    public void Dispose() => taught.Dispose();

    private TinyRun Tiny => taught.Tiny;

    [Fact]
    public void An_interrupted_fill_goes_on_with_the_files_that_are_missing()
    {
        taught.Distil(RowKind.Crops, topK: 8);
        taught.Fill(new SingleProcess());
        string folder = Assert.Single(taught.Folders());
        string[] files = [.. Directory.GetFiles(folder).Order(StringComparer.Ordinal)];
        Assert.InRange(files.Length, 4, 100);
        byte[][] whole = [.. files.Select(File.ReadAllBytes)];
        DateTime[] written = [.. files.Select(File.GetLastWriteTimeUtc)];
        foreach (string file in files.Skip(2)) File.Delete(file);

        using CancellationTokenSource stopped = new();
        stopped.Cancel();
        Assert.Throws<OperationCanceledException>(() => taught.Fill(new SingleProcess(), stopped.Token));
        Assert.Equal(files.Take(2), Directory.GetFiles(folder).Order(StringComparer.Ordinal)); // and nothing half-written
        taught.Fill(new SingleProcess());

        Assert.Contains(Tiny.Progress, line => line.Contains($"{files.Length - 2} of {files.Length} files"));
        Assert.Equal(whole, files.Select(File.ReadAllBytes));
        Assert.Equal(written.Take(2), files.Take(2).Select(File.GetLastWriteTimeUtc));
    }

    [Fact]
    public void Ranks_share_out_the_files_of_one_process()
    {
        taught.Distil(RowKind.Crops, topK: 8);
        _ = Tiny.Data;
        taught.Fill(new SingleProcess());
        Dictionary<string, byte[]> one = Directory.GetFiles(taught.Folders()[0]).ToDictionary(file => file, File.ReadAllBytes);
        foreach (string file in one.Keys) File.Delete(file);

        bool[] stopped = ThreadRanks.Run(2, group =>
        {
            taught.Fill(group);
            return new Ranks(group, new Progress<string>()).AnyInTheEnd(group.Rank == 1);
        });

        Assert.Equal([true, true], stopped);
        Assert.Equal(one.Keys.Order(), Directory.GetFiles(taught.Folders()[0]).Order());
        Assert.All(one, file => Assert.Equal(file.Value, File.ReadAllBytes(file.Key)));
    }

    [Theory]
    [InlineData(0, "it does not begin with TRNTEACH")]
    [InlineData(8, "its format version is ")]
    [InlineData(16, "its head does not match its checksum")]
    [InlineData(-1, "bytes, which is not what its ")]
    public void A_damaged_head_is_computed_again(int at, string reason)
    {
        taught.Distil(RowKind.Crops, topK: 8);
        taught.Fill(new SingleProcess());
        string file = Directory.GetFiles(taught.Folders()[0]).Order(StringComparer.Ordinal).ElementAt(1);
        byte[] whole = File.ReadAllBytes(file);
        byte[] damaged = at < 0 ? whole[..^1] : [.. whole];
        if (at >= 0) damaged[at] ^= 0x55;
        File.WriteAllBytes(file, damaged);

        taught.Fill(new SingleProcess());

        Assert.Contains(Tiny.Progress, line => line.StartsWith($"{file} cannot be used (") && line.Contains(reason));
        Assert.Equal(whole, File.ReadAllBytes(file));
    }

    [Fact]
    public void A_file_of_something_else_is_computed_again()
    {
        taught.Distil(RowKind.Crops, topK: 8);
        taught.Fill(new SingleProcess());
        string[] files = [.. Directory.GetFiles(taught.Folders()[0]).Order(StringComparer.Ordinal)];
        byte[] whole = File.ReadAllBytes(files[1]);
        File.Copy(files[2], files[1], overwrite: true);

        taught.Fill(new SingleProcess());

        Assert.Contains(Tiny.Progress, line => line.StartsWith($"{files[1]} cannot be used (it is of something else: "));
        Assert.Equal(whole, File.ReadAllBytes(files[1]));
    }

    [Fact]
    public void Damaged_probabilities_are_never_trained_on()
    {
        taught.Distil(RowKind.Crops, topK: 8);
        Tiny.Train(until: 3);
        string file = Assert.Single(Directory.GetFiles(Assert.Single(taught.Folders())));
        byte[] bytes = File.ReadAllBytes(file);
        for (int at = bytes.Length / 2; at < bytes.Length; at += 100) bytes[at] ^= 1;
        File.WriteAllBytes(file, bytes);

        string message = Assert.Throws<UserException>(() => Tiny.Train(resume: true)).Message;
        Assert.StartsWith($"{file}: its sequence ", message);
        Assert.EndsWith("does not match its checksum; delete the file, and go on with --resume: what it holds is computed again", message);

        File.Delete(file);
        Assert.Equal(6, Tiny.Train(resume: true).Step);
    }
}
