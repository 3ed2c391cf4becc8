using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Trainer.Training.Tests;

public class StopSignalTests
{
    [Fact]
    public void The_first_signal_right_after_the_end_of_the_input_is_its_echo()
    {
        using StopSignal stop = new();
        PosixSignalContext context = new(PosixSignal.SIGTERM);

        stop.Request();
        Receive(stop, context);

        Assert.True(context.Cancel); // else it would end the process
    }

    [UnsafeAccessor(UnsafeAccessorKind.Method)]
    private static extern void Receive(StopSignal stop, PosixSignalContext context);
}
