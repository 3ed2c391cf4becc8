using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Tests;

namespace Trainer.Checkpoints.Tests;

public sealed class CheckpointStoreTests : IDisposable
{
    private readonly TemporaryDirectory directory = new();
    private readonly CheckpointStore store;

    public CheckpointStoreTests() => store = new CheckpointStore(Path.Combine(directory.Path, "checkpoints"));

    public void Dispose() => directory.Dispose();

    [Fact]
    public void A_checkpoint_has_eight_digits_a_manifest_and_a_pointer()
    {
        string path = store.Save(500, Parts("weights"));

        Assert.Equal("step-00000500", Path.GetFileName(path));
        Assert.Equal("step-00000500\n", File.ReadAllText(Path.Combine(directory.Path, "checkpoints", "last")));
        JsonNode entry = JsonNode.Parse(File.ReadAllText(Path.Combine(path, "manifest.json")))!["files"]!["model.safetensors"]!;
        Assert.Equal(7, (int)entry["size"]!);
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData("weights"u8)), (string)entry["sha256"]!);
        Assert.Equal(500, store.NewestWhole(Assert.Fail));
    }

    [Fact]
    public void Files_may_be_links_to_others()
    {
        string weights = Path.Combine(store.Save(500, Parts("weights")), "model.safetensors"), elsewhere = Path.Combine(directory.Path, "blob");
        File.Move(weights, elsewhere);
        File.CreateSymbolicLink(weights, elsewhere);
        Assert.Equal(500, store.NewestWhole(Assert.Fail));
    }

    [Fact]
    public void Rotation_orders_by_number_and_never_removes_best_or_last()
    {
        foreach (long step in (long[])[20, 99_999_999, 100_000_000, 7, 100_000_001]) store.Save(step, Parts("w"));
        store.MarkBest(7);
        store.Save(20, Parts("w")); // the last, though by number among the oldest

        store.Rotate(keep: 2);

        Assert.Equal([7, 20, 100_000_000, 100_000_001], store.Steps);
        Assert.Equal((7L, 20L), (store.Best, store.Last));
    }

    [Fact]
    public void Rotation_ignores_names_and_times()
    {
        for (long step = 5; step > 0; step--) store.Save(step, Parts("w"));
        Directory.CreateDirectory(Path.Combine(directory.Path, "checkpoints", "step-9"));
        Directory.CreateDirectory(Path.Combine(directory.Path, "checkpoints", "mine"));

        store.Rotate(keep: 1);

        Assert.Equal([1, 5], store.Steps);
        Assert.True(Directory.Exists(Path.Combine(directory.Path, "checkpoints", "mine")));
    }

    [Fact]
    public void What_killed_runs_left_is_removed()
    {
        store.Save(1, Parts("w"));
        Directory.CreateDirectory(Path.Combine(directory.Path, "checkpoints", ".tmp-step-00000002"));
        File.WriteAllText(Path.Combine(directory.Path, "checkpoints", "last.tmp"), "step-");

        store.RemoveTemporaryFiles();

        Assert.Equal(
            ["last", "step-00000001"],
            Directory.EnumerateFileSystemEntries(Path.Combine(directory.Path, "checkpoints")).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void Every_kind_of_damage_is_named_with_what_was_expected_and_found()
    {
        Assert.Equal("it has 6 bytes; the manifest lists 7", Damage(path => File.WriteAllText(path, "weight")));
        Assert.Equal("it is missing; the manifest lists it with 7 bytes", Damage(File.Delete));
        Assert.Equal(
            $"its SHA-256 is {Convert.ToHexStringLower(SHA256.HashData("weightS"u8))}; the manifest lists " +
                $"{Convert.ToHexStringLower(SHA256.HashData("weights"u8))}",
            Damage(path => File.WriteAllText(path, "weightS")));
        Assert.Equal("it is missing", Damage(File.Delete, "manifest.json"));
        Assert.Equal("it lists no files", Damage(path => File.WriteAllText(path, "{}"), "manifest.json"));
        Assert.StartsWith("it is not the JSON that was written (", Damage(path => File.WriteAllText(path, "{\"files\":"), "manifest.json"));
        Assert.Equal(
            "it does not list state.json",
            Damage(path => File.WriteAllText(path, File.ReadAllText(path).Replace("state.json", "stale.json")), "manifest.json"));
    }

    [Fact]
    public void The_newest_whole_checkpoint_is_found_past_damaged_ones()
    {
        foreach (long step in (long[])[1, 2, 3]) store.Save(step, Parts("weights"));
        File.Delete(Path.Combine(store.DirectoryOf(3), "manifest.json"));
        List<string> warnings = [];

        Assert.Equal(2, store.NewestWhole(warnings.Add));
        Assert.Equal([$"passing over a damaged checkpoint: {store.DirectoryOf(3)}/manifest.json: it is missing. This checkpoint is " +
            "damaged: use an earlier one of the run."], warnings);
    }

    [Fact]
    public void A_checkpoint_with_a_file_that_cannot_be_read_is_passed_over_too()
    {
        foreach (long step in (long[])[1, 2]) store.Save(step, Parts("weights"));
        string weights = Path.Combine(store.DirectoryOf(2), "model.safetensors");
        List<string> warnings = [];
        using FileStream lockedOut = new(weights, FileMode.Open, FileAccess.Read, FileShare.None); // which holds for root, too

        Assert.StartsWith($"{weights}: it cannot be read: ", Assert.Throws<UserException>(() => store.RequireWhole(2)).Message);
        Assert.Equal(1, store.NewestWhole(warnings.Add));
        Assert.StartsWith($"passing over a damaged checkpoint: {weights}: it cannot be read: ", Assert.Single(warnings));
    }

    [Fact]
    public void No_whole_checkpoint_at_all_is_an_error_and_no_checkpoint_is_not()
    {
        Assert.Null(store.NewestWhole(Assert.Fail));
        store.Save(1, Parts("weights"));
        File.Delete(Path.Combine(store.DirectoryOf(1), "state.json"));

        var error = Assert.Throws<UserException>(() => store.NewestWhole(_ => { }));

        Assert.EndsWith("none of the 1 checkpoints is whole (see above); start again with --run and another directory.", error.Message);
    }

    [Fact]
    public void A_disk_that_fills_up_leaves_nothing_behind_and_earlier_checkpoints_whole()
    {
        store.Save(1, Parts("weights"));

        // Writing through a link to /dev/full is what a full disk answers: "no space left on device".
        var error = Assert.Throws<UserException>(() => store.Save(2,
        [
            .. Parts("weights").Where(part => part.Name != "optimizer.safetensors"),
            new PendingFile("optimizer.safetensors", path =>
            {
                File.CreateSymbolicLink(path, "/dev/full");
                using FileStream full = new(path, FileMode.Open, FileAccess.Write);
                full.Write(new byte[1 << 20]);
            }),
        ]));

        Assert.StartsWith($"{store.DirectoryOf(2)}: the checkpoint could not be saved: ", error.Message);
        Assert.Contains("o space left", error.Message);
        Assert.EndsWith(
            "The checkpoint of step 1 is untouched: mend the cause (is the disk full?) and go on with --resume.", error.Message);
        Assert.Equal(
            ["last", "step-00000001"],
            Directory.EnumerateFileSystemEntries(Path.Combine(directory.Path, "checkpoints")).Select(Path.GetFileName).Order());
        Assert.Equal(1, store.NewestWhole(Assert.Fail));
    }

    [Fact]
    public void Whatever_goes_wrong_while_saving_nothing_is_left_behind()
    {
        PendingFile Failing(Exception error) => new("tokenizer.json", _ => throw error);

        Assert.Throws<InvalidOperationException>(() => store.Save(1, [.. Parts("w")[..2], Failing(new InvalidOperationException())]));
        var error = Assert.Throws<UserException>(
            () => store.Save(1, [.. Parts("w")[..2], Failing(new UserException("tokenizer.json cannot be written."))]));

        Assert.Equal(
            $"{store.DirectoryOf(1)}: the checkpoint could not be saved: tokenizer.json cannot be written. " +
            "There is no earlier checkpoint: mend the cause (is the disk full?) and start again.", error.Message);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(directory.Path, "checkpoints")));
    }

    /// <summary>The same on a real file system of 256 KiB; where mounting is not permitted, the test above stands alone.</summary>
    [Fact]
    public void A_real_full_file_system_leaves_earlier_checkpoints_whole()
    {
        string mount = Directory.CreateDirectory(Path.Combine(directory.Path, "small")).FullName;
        Assert.SkipUnless(Run("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", mount), "mounting a file system is not permitted here");
        try
        {
            CheckpointStore small = new(Path.Combine(mount, "checkpoints"));
            small.Save(1, Parts(new string('w', 100_000)));

            var error = Assert.Throws<UserException>(() => small.Save(2, Parts(new string('w', 200_000))));

            Assert.Contains("The checkpoint of step 1 is untouched", error.Message);
            Assert.Equal([1], small.Steps);
            Assert.Equal(1, small.NewestWhole(Assert.Fail));
            Assert.Equal(1, small.Last);
        }
        finally
        {
            Run("umount", mount);
        }
    }

    private string Damage(Action<string> harm, string file = "model.safetensors")
    {
        string checkpoint = store.Save(9, Parts("weights"));
        string path = Path.Combine(checkpoint, file);
        harm(path);
        string message = Assert.Throws<UserException>(
            () => CheckpointManifest.Verify(checkpoint, "model.safetensors", "state.json")).Message;
        const string Advice = ". This checkpoint is damaged: use an earlier one of the run.";
        Assert.StartsWith(path + ": ", message);
        Assert.EndsWith(Advice, message);
        return message[(path.Length + 2)..^Advice.Length];
    }

    private static PendingFile[] Parts(string weights) =>
    [
        new("model.safetensors", path => File.WriteAllText(path, weights)),
        .. ((string[])["optimizer.safetensors", "state.json", "config.json", "tokenizer.json"])
            .Select(name => new PendingFile(name, path => File.WriteAllText(path, name))),
    ];

    private static bool Run(string program, params string[] arguments)
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }
}
