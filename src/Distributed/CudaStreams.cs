using System.Runtime.InteropServices;
using Trainer.Configuration;
using Trainer.Kernels;

namespace Trainer.Distributed;

/// <summary>CUDA's streams and events, by the runtime that libtorch has loaded. The signatures are the same in CUDA 11 to 13.</summary>
internal sealed unsafe class CudaStreams
{
    private const int Success = 0, NotReady = 600; // cudaSuccess, cudaErrorNotReady
    private const uint NonBlocking = 1, WithoutTimes = 2; // cudaStreamNonBlocking, cudaEventDisableTiming

    private readonly nint library = TorchLibrary.Loaded("torch_cuda") is var cuda and not 0 ? cuda
        : throw new TorchException("this libtorch has no CUDA");

    private readonly int device;
    private readonly delegate* unmanaged[Cdecl]<int, nint*, int> currentStream;
    private readonly delegate* unmanaged[Cdecl]<nint, nint, uint, int> streamWaitEvent;
    private readonly delegate* unmanaged[Cdecl]<nint*, uint, int> eventCreate;
    private readonly delegate* unmanaged[Cdecl]<nint, nint, int> eventRecord;
    private readonly delegate* unmanaged[Cdecl]<nint, int> eventQuery;
    private readonly delegate* unmanaged[Cdecl]<nint, int> eventDestroy;

    /// <summary>For one device, which becomes this thread's current one.</summary>
    public CudaStreams(int device)
    {
        this.device = device;
        currentStream = (delegate* unmanaged[Cdecl]<int, nint*, int>)Export("aoti_torch_get_current_cuda_stream");
        streamWaitEvent = (delegate* unmanaged[Cdecl]<nint, nint, uint, int>)Export("cudaStreamWaitEvent");
        eventCreate = (delegate* unmanaged[Cdecl]<nint*, uint, int>)Export("cudaEventCreateWithFlags");
        eventRecord = (delegate* unmanaged[Cdecl]<nint, nint, int>)Export("cudaEventRecord");
        eventQuery = (delegate* unmanaged[Cdecl]<nint, int>)Export("cudaEventQuery");
        eventDestroy = (delegate* unmanaged[Cdecl]<nint, int>)Export("cudaEventDestroy");
        MakeCurrent();
    }

    /// <summary>The stream on which this thread's tensors of the device are computed.</summary>
    public nint Current
    {
        get
        {
            nint stream;
            return currentStream(device, &stream) == 0 ? stream
                : throw new TorchException($"The stream of CUDA device {device} cannot be had.");
        }
    }

    public void MakeCurrent() => Check(((delegate* unmanaged[Cdecl]<int, int>)Export("cudaSetDevice"))(device), "cudaSetDevice");

    public nint CreateStream()
    {
        nint stream;
        Check(((delegate* unmanaged[Cdecl]<nint*, uint, int>)Export("cudaStreamCreateWithFlags"))(&stream, NonBlocking),
            "cudaStreamCreateWithFlags");
        return stream;
    }

    public void DestroyStream(nint stream) =>
        Check(((delegate* unmanaged[Cdecl]<nint, int>)Export("cudaStreamDestroy"))(stream), "cudaStreamDestroy");

    /// <summary>An event that has happened when the stream is done with all that is on it by now.</summary>
    public nint Record(nint stream)
    {
        nint created;
        Check(eventCreate(&created, WithoutTimes), "cudaEventCreateWithFlags");
        Check(eventRecord(created, stream), "cudaEventRecord");
        return created;
    }

    /// <summary>Lets what is put on the stream from now on wait for an event.</summary>
    public void Await(nint stream, nint happening) => Check(streamWaitEvent(stream, happening, 0), "cudaStreamWaitEvent");

    public bool HasHappened(nint happening)
    {
        int code = eventQuery(happening);
        if (code != NotReady) Check(code, "cudaEventQuery");
        return code == Success;
    }

    /// <summary>Frees an event once it has happened.</summary>
    public void Destroy(nint happening) => Check(eventDestroy(happening), "cudaEventDestroy");

    // Of torch_cuda, or of the runtime that it needs.
    private nint Export(string name) => NativeLibrary.GetExport(library, name);

    private void Check(int code, string what)
    {
        if (code == Success) return;
        byte* text = ((delegate* unmanaged[Cdecl]<int, byte*>)Export("cudaGetErrorString"))(code);
        throw new UserException($"{what}: {Marshal.PtrToStringUTF8((nint)text)}");
    }
}
