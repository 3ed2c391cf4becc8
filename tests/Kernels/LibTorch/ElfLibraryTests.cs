namespace Trainer.Kernels.Tests;

public class ElfLibraryTests
{
    private static readonly string Library = Path.Combine(AppContext.BaseDirectory, "libtorch", "libLibTorchSharp.so");

    [Theory]
    [InlineData("_ZN2at4_ops4tril4callERKNS_6TensorEl", "at::_ops::tril::call")]
    [InlineData("_ZNK3c106SymInt22maybe_as_int_slow_pathEv", "c10::SymInt::maybe_as_int_slow_path")]
    [InlineData("_ZTIN5torch8autograd4NodeE", "_ZTIN5torch8autograd4NodeE")]
    [InlineData("aoti_torch_abi_version", "aoti_torch_abi_version")]
    [InlineData("_ZN99at", "_ZN99at")]
    public void Symbols_are_shown_as_names(string symbol, string name) => Assert.Equal(name, ElfLibrary.Readable(symbol));

    [Fact]
    public void A_version_is_weakened_by_one_bit_of_the_file()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "libraries of Linux");
        var before = File.ReadAllBytes(Library);
        var library = new ElfLibrary([.. before]);
        Assert.True(library.Weaken("GLIBCXX_3.4.32"));
        var changed = Enumerable.Range(0, before.Length).Where(index => before[index] != library.Bytes[index]).ToList();
        var index = Assert.Single(changed);
        Assert.Equal(before[index] | 2, library.Bytes[index]);
        Assert.False(library.Weaken("GLIBCXX_9.9"));
    }

    [Fact]
    public void Required_symbols_are_those_of_other_libraries()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "libraries of Linux");
        var symbols = new ElfLibrary(File.ReadAllBytes(Library)).RequiredSymbols().ToHashSet();
        Assert.Contains("_ZN2at4_ops4neg_4callERNS_6TensorE", symbols);
        Assert.Contains("malloc", symbols);
        Assert.DoesNotContain("THSTorch_set_num_threads", symbols);
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(1, false)]
    [InlineData(2_000_000, false)]
    public void A_file_that_was_cut_off_is_not_whole(int missing, bool whole)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "libraries of Linux");
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, File.ReadAllBytes(Library)[..^missing]);
            Assert.Equal(whole, ElfLibrary.IsWhole(path));
        }
        finally
        {
            File.Delete(path);
        }
    }
}
