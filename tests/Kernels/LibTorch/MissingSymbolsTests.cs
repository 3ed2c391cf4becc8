using System.Text;
using System.Text.RegularExpressions;
using Trainer.Tests;

namespace Trainer.Kernels.Tests;

public class MissingSymbolsTests
{
    private const string Negation = "_ZN2at4_ops4neg_4callERNS_6TensorE";
    private const string Outputs = "_ZN5torch8autograd10deleteNodeEPNS0_4NodeE";
    private const string Names = "_ZN2at17internal_set_namesE", Dimension = "_ZN2at7Dimname8wildcardEv";

    [Fact]
    public void Nothing_is_said_where_nothing_is_missing()
    {
        MissingSymbols missing = new([Negation, Outputs], _ => true);
        Assert.Empty(missing.Needed);
        Assert.Empty(missing.AutogradFunctions);
        Assert.Null(missing.Description);
    }

    [Theory]
    [InlineData(Negation, "at::_ops::neg_::call")]
    [InlineData("_ZN5torch8autograd4gradERKSt6vectorIN2at6TensorESaIS3_EE", "torch::autograd::grad")]
    [InlineData("_ZN5torch8autograd8backwardERKSt6vectorIN2at6TensorESaIS3_EE", "torch::autograd::backward")]
    public void What_everything_needs_is_named(string symbol, string name) =>
        Assert.Equal([name], new MissingSymbols([symbol], _ => false).Needed);

    [Fact]
    public void Backward_passes_in_CSharp_are_told_apart_and_described()
    {
        MissingSymbols missing = new([Negation, Outputs, Dimension, Names], symbol => symbol == Negation);
        Assert.Empty(missing.Needed);
        Assert.Equal(["torch::autograd::deleteNode"], missing.AutogradFunctions);
        Assert.Equal("functions of libtorch 2.10: 1 of backward passes in C#, which some models train with (torch::autograd::deleteNode); "
            + "2 of named tensors, which nothing here uses", missing.Description);
    }

    [Fact]
    public void What_this_program_calls_itself_is_looked_up_and_needed()
    {
        IEnumerable<string> called = Directory
            .EnumerateFiles(Repository.PathOf("src", "Kernels"), "*.cs", SearchOption.AllDirectories)
            .SelectMany(file => Regex.Matches(File.ReadAllText(file), "TorchLibrary\\.Export\\(\\s*\"(\\w+)\""))
            .Select(match => match.Groups[1].Value);
        Assert.Equal(called.Distinct().Order(StringComparer.Ordinal), LibTorchLoader.OwnCalls);
        Assert.Equal(LibTorchLoader.OwnCalls, new MissingSymbols(LibTorchLoader.OwnCalls, _ => false).Needed);
        Assert.All(LibTorchLoader.OwnCalls, name => Assert.True(TorchLibrary.OptionalExport(name) != 0, name));
    }

    // A native part that was built for a function which no libtorch has.
    [Fact]
    public void A_library_that_asks_for_more_than_there_is_says_what()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "libraries of Linux");
        byte[] file = File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "libtorch", "libLibTorchSharp.so"));
        HashSet<string> there = [.. new ElfLibrary(file).RequiredSymbols()];
        int place = file.AsSpan().IndexOf(Encoding.ASCII.GetBytes(Negation + '\0'));
        file[place + Negation.IndexOf("neg_", StringComparison.Ordinal)] = (byte)'p';
        MissingSymbols missing = new(new ElfLibrary(file).RequiredSymbols(), there.Contains);
        Assert.Equal(["at::_ops::peg_::call"], missing.Needed);
    }
}
