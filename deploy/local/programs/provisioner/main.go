// Makes a folder for each volume claim, and removes it with the volume.
//
// It runs in the machine of the control plane, which sees the same file system as all nodes: so the folder is there
// on whichever node the pod comes to, and nothing has to run on that node to make it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// The StorageClass's word for this program.
const name = "herdctl.dev/folders"

type folders struct{ root string }

func (f folders) Provision(_ context.Context, wish controller.ProvisionOptions) (*core.PersistentVolume, controller.ProvisioningState, error) {
	claim := wish.PVC
	// A person who looks into the root finds the claim by its name
	path := filepath.Join(f.root, fmt.Sprintf("%s_%s_%s", wish.PVName, claim.Namespace, claim.Name))
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	// Pods run as any user; the umask does not count for this
	if err := os.Chmod(path, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	return &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: wish.PVName},
		Spec: core.PersistentVolumeSpec{
			AccessModes:                   claim.Spec.AccessModes,
			Capacity:                      core.ResourceList{core.ResourceStorage: claim.Spec.Resources.Requests[core.ResourceStorage]},
			PersistentVolumeReclaimPolicy: *wish.StorageClass.ReclaimPolicy,
			PersistentVolumeSource:        core.PersistentVolumeSource{HostPath: &core.HostPathVolumeSource{Path: path}},
		},
	}, controller.ProvisioningFinished, nil
}

func (f folders) Delete(_ context.Context, volume *core.PersistentVolume) error {
	path := volume.Spec.HostPath.Path
	if filepath.Dir(path) != f.root {
		return fmt.Errorf("%s is not a folder of %s", path, f.root)
	}
	return os.RemoveAll(path)
}

func run() error {
	kubeconfig := flag.String("kubeconfig", "", "file that says how to reach the API server")
	root := flag.String("root", "", "folder in which the volumes' folders are made")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx := context.Background()
	volumes := folders{root: filepath.Clean(*root)}
	controller.NewProvisionController(ctx, client, name, volumes, controller.LeaderElection(false)).Run(ctx)
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "provisioner:", err)
		os.Exit(1)
	}
}
